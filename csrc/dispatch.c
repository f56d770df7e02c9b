/* Which level this CPU can run, which one is in use, and the public functions that depend on it. */
#include "internal.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <cpuid.h>

enum {
    LEAF1_ECX_SSSE3 = 1 << 9,
    LEAF1_ECX_SSE41 = 1 << 19,
    LEAF1_ECX_AES = 1 << 25,
    LEAF1_ECX_OSXSAVE = 1 << 27,
    LEAF1_ECX_AVX = 1 << 28,
    LEAF7_EBX_AVX2 = 1 << 5,
    LEAF7_ECX_VAES = 1 << 9,
    XCR0_SSE_AND_AVX = 0x6
};

static unsigned leaf1_ecx(void)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) ? ecx : 0;
}

static int has_all(unsigned features, unsigned wanted)
{
    return (features & wanted) == wanted;
}

static int supports_aesni(void)
{
    return has_all(leaf1_ecx(), LEAF1_ECX_AES | LEAF1_ECX_SSSE3 | LEAF1_ECX_SSE41);
}

/* Whether the operating system saves the upper halves of the vector registers. */
static int saves_wide_registers(void)
{
    unsigned low, high;
    if (!has_all(leaf1_ecx(), LEAF1_ECX_OSXSAVE | LEAF1_ECX_AVX))
        return 0;
    __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return has_all(low, XCR0_SSE_AND_AVX);
}

static int supports_vaes(void)
{
    unsigned eax, ebx, ecx, edx;
    return supports_aesni() && saves_wide_registers() &&
           __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && has_all(ebx, LEAF7_EBX_AVX2) &&
           has_all(ecx, LEAF7_ECX_VAES);
}

#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
#endif

/* Every ARM CPU of Apple has the instructions. Elsewhere only Linux is asked. */
static int supports_armv8(void)
{
#if defined(__APPLE__)
    return 1;
#elif defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
    return 0;
#endif
}
#endif

static int supports_anything(void)
{
    return 1;
}

static const struct secagg_kernels levels[] = {
    {.name = "portable", .supported = supports_anything},
#if defined(__x86_64__)
    {.name = "aesni",
     .supported = supports_aesni,
     .mask_apply = secagg_mask_apply_aesni,
     .keystream = secagg_mask_keystream_aesni},
    {.name = "vaes",
     .supported = supports_vaes,
     .mask_apply = secagg_mask_apply_vaes,
     .keystream = secagg_mask_keystream_vaes,
     .encode = secagg_encode_vaes,
     .sum = secagg_sum_avx2},
#elif defined(__aarch64__)
    {.name = "armv8",
     .supported = supports_armv8,
     .mask_apply = secagg_mask_apply_armv8,
     .keystream = secagg_mask_keystream_armv8},
#endif
};

/* Atomic so that a late selection is a surprise at worst, never a torn pointer. */
static const struct secagg_kernels *_Atomic in_use = &levels[0];

const struct secagg_kernels *secagg_level(void)
{
    return atomic_load_explicit(&in_use, memory_order_relaxed);
}

static const struct secagg_kernels *find(const char *name)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(levels[i].name, name) == 0 && levels[i].supported())
            return &levels[i];
    return NULL;
}

int secagg_cpu_supported(const char *name)
{
    return find(name) != NULL;
}

int secagg_cpu_select(const char *name)
{
    const struct secagg_kernels *level = find(name);
    if (level == NULL)
        return SECAGG_UNAVAILABLE;
    atomic_store_explicit(&in_use, level, memory_order_relaxed);
    return SECAGG_OK;
}

const char *secagg_cpu_selected(void)
{
    return secagg_level()->name;
}

int secagg_cpu_has_masks(void)
{
    return secagg_level()->mask_apply != NULL;
}

void secagg_bytes_wipe(uint8_t *buffer, size_t size)
{
    wipe(buffer, size);
}

static int apply(void *total, size_t length, uint64_t offset, unsigned lane_bytes,
                 const struct secagg_mask_stream *streams, size_t count)
{
    secagg_mask_kernel *kernel = secagg_level()->mask_apply;
    uint64_t limit = secagg_stream_bytes / lane_bytes;
    if (kernel == NULL)
        return SECAGG_UNAVAILABLE;
    if (offset > limit || length > limit - offset)
        return SECAGG_PARAMETER;
    for (size_t i = 0; i < count; i++) {
        if (streams[i].key_size != 16 && streams[i].key_size != 32)
            return SECAGG_PARAMETER;
        if (streams[i].sign != 1 && streams[i].sign != -1)
            return SECAGG_PARAMETER;
    }
    kernel(total, length * lane_bytes, offset * lane_bytes, lane_bytes, streams, count);
    return SECAGG_OK;
}

int secagg_mask_apply_u16(uint16_t *total, size_t length, uint64_t offset,
                          const struct secagg_mask_stream *streams, size_t count)
{
    return apply(total, length, offset, sizeof *total, streams, count);
}

int secagg_mask_apply_u32(uint32_t *total, size_t length, uint64_t offset,
                          const struct secagg_mask_stream *streams, size_t count)
{
    return apply(total, length, offset, sizeof *total, streams, count);
}

int secagg_mask_apply_u64(uint64_t *total, size_t length, uint64_t offset,
                          const struct secagg_mask_stream *streams, size_t count)
{
    return apply(total, length, offset, sizeof *total, streams, count);
}
