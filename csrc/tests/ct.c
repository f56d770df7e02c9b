/*
 * Constant time, checked by valgrind: secrets are marked undefined, and memcheck reports every
 * branch and every address that depends on an undefined value.
 *
 * Runs the shipped objects at the shipped optimisation, at every level that valgrind can execute
 * (it has no VAES; that level is the same source as AES-NI, and its loops are checked in the
 * disassembly). Twins that do branch, or index, on a secret must be reported: so the check itself
 * is known to work.
 */
#include "check.h"
#include "internal.h"

#include <valgrind/memcheck.h>

#define SECRET(object, size) (void)VALGRIND_MAKE_MEM_UNDEFINED(object, size)
#define PUBLIC(object, size) (void)VALGRIND_MAKE_MEM_DEFINED(object, size)

/* Longer than a tile of the mask kernels, and ends in the middle of everything. */
enum { LENGTH = 33 * 1024 / 2 + 5, LIMBS = 5 };

static const uint64_t p = (UINT64_C(1) << 61) - 1;

static volatile int sink;

static void branching_twin(void)
{
    uint64_t secret = 5;
    SECRET(&secret, sizeof secret);
    if (secret == 7)
        sink = 1;
}

static void indexing_twin(void)
{
    static const uint8_t table[256] = {1};
    uint8_t secret = 5;
    SECRET(&secret, sizeof secret);
    sink = table[secret];
}

static void taint_comparisons(void)
{
    uint64_t values[2] = {3, 4};
    SECRET(values, sizeof values);
    uint64_t results[] = {less_than(values[0], values[1]), is_nonzero(values[0]),
                          mask_of(less_than(values[1], values[0]))};
    PUBLIC(results, sizeof results);
    CHECK(results[0] == 1 && results[1] == 1 && results[2] == 0);
}

static void taint_wipe(void)
{
    uint8_t *buffer = filled(1000);
    SECRET(buffer, 1000);
    secagg_bytes_wipe(buffer, 1000);
    CHECK(buffer[0] == 0 && buffer[999] == 0);
    free(buffer);
}

/* The portable keystream addition is ring_add and ring_subtract over a keystream in memory. */
#define TAINT_RING(name, lane, bits)                                                              \
    static void taint_ring_##name(void)                                                           \
    {                                                                                             \
        lane *total = filled(LENGTH * sizeof *total);                                             \
        lane *vector = filled(LENGTH * sizeof *vector);                                           \
        uint8_t *packed = filled((LENGTH * bits + 7) / 8);                                        \
        const uint8_t *const one = packed;                                                        \
        SECRET(total, LENGTH * sizeof *total);                                                    \
        SECRET(vector, LENGTH * sizeof *vector);                                                  \
        secagg_ring_add_##name(total, vector, LENGTH);                                            \
        secagg_ring_subtract_##name(total, vector, LENGTH);                                       \
        secagg_ring_reduce_##name(total, LENGTH, bits);                                           \
        CHECK(!secagg_ring_within_##name(total, LENGTH, bits, 5));                                \
        secagg_ring_pack_##name(packed, total, LENGTH, bits);                                     \
        CHECK(secagg_ring_unpack_##name(vector, packed, LENGTH, bits) == SECAGG_OK);              \
        CHECK(secagg_ring_sum_##name(total, &one, 1, LENGTH, bits) == SECAGG_OK);                 \
        PUBLIC(vector, LENGTH * sizeof *vector);                                                  \
        CHECK(vector[1] == (filled_lane_##name(1) & (UINT64_MAX >> (64 - bits))));                \
        free(total);                                                                              \
        free(vector);                                                                             \
        free(packed);                                                                             \
    }

#define FILLED_LANE(name, lane)                                                                   \
    static lane filled_lane_##name(size_t i)                                                      \
    {                                                                                             \
        lane *vector = filled((i + 1) * sizeof *vector);                                          \
        const lane value = vector[i];                                                             \
        free(vector);                                                                             \
        return value;                                                                             \
    }

FILLED_LANE(u16, uint16_t)
FILLED_LANE(u32, uint32_t)
FILLED_LANE(u64, uint64_t)
TAINT_RING(u16, uint16_t, 11)
TAINT_RING(u32, uint32_t, 29)
TAINT_RING(u64, uint64_t, 61)

#define TAINT_MASKS(name, lane)                                                                   \
    static void taint_masks_##name(void)                                                          \
    {                                                                                             \
        struct secagg_mask_stream streams[4];                                                     \
        lane *total = filled(LENGTH * sizeof *total);                                             \
        memset(streams, 0, sizeof streams);                                                       \
        for (size_t i = 0; i < 4; i++) {                                                          \
            streams[i].key_size = i < 2 ? 16 : 32;                                                \
            streams[i].sign = i % 2 ? 1 : -1;                                                     \
            SECRET(streams[i].key, sizeof streams[i].key);                                        \
        }                                                                                         \
        SECRET(total, LENGTH * sizeof *total);                                                    \
        CHECK(secagg_mask_apply_##name(total, LENGTH, 3, streams, 4) == SECAGG_OK);               \
        PUBLIC(total, LENGTH * sizeof *total);                                                    \
        /* Equal keys of opposite sign: nothing is left of the masks. */                          \
        CHECK(total[1] == filled_lane_##name(1));                                                 \
        CHECK(total[LENGTH - 1] == filled_lane_##name(LENGTH - 1));                               \
        free(total);                                                                              \
    }

TAINT_MASKS(u16, uint16_t)
TAINT_MASKS(u32, uint32_t)
TAINT_MASKS(u64, uint64_t)

static void taint_masks(void)
{
    taint_masks_u16();
    taint_masks_u32();
    taint_masks_u64();
}

static void taint_fixed(void)
{
    uint64_t report;
    float *values = filled(LENGTH * sizeof *values);
    uint16_t *randomness = filled(LENGTH * sizeof *randomness);
    uint32_t *out = filled(LENGTH * sizeof *out);
    int64_t *signed_out = filled(LENGTH * sizeof *signed_out);
    double *real = filled(LENGTH * sizeof *real);
    for (size_t i = 0; i < LENGTH; i++)
        values[i] = (float)(i % 251) / 17.0f - 7.0f;
    SECRET(values, LENGTH * sizeof *values);
    SECRET(randomness, LENGTH * sizeof *randomness);
    for (int stochastic = 0; stochastic < 2; stochastic++)
        CHECK(secagg_fixed_encode_u32(out, values, stochastic ? randomness : NULL, LENGTH, 3.0,
                                      1000.0, 20, &report) == SECAGG_OK);
    secagg_fixed_center_u32(signed_out, out, LENGTH, 20);
    secagg_fixed_decode_u32(real, out, LENGTH, 20, 1000.0);
    PUBLIC(&real[0], sizeof real[0]);
    CHECK(real[0] == -3.0);
    free(values);
    free(randomness);
    free(out);
    free(signed_out);
    free(real);
}

/* At the level in use, which must have masks: randomness and a mask from keystreams. */
static void taint_encode(void)
{
    struct secagg_mask_stream streams[2] = {{.key_size = 16, .sign = 1},
                                            {.key_size = 32, .sign = 1}};
    const struct secagg_encoding encoding = {3.0, 1000.0, &streams[0], &streams[1], 20};
    uint64_t report;
    float *values = filled(LENGTH * sizeof *values);
    uint32_t *out = filled(LENGTH * sizeof *out);
    for (size_t i = 0; i < LENGTH; i++)
        values[i] = (float)(i % 251) / 17.0f - 7.0f;
    SECRET(values, LENGTH * sizeof *values);
    SECRET(streams[0].key, sizeof streams[0].key);
    SECRET(streams[1].key, sizeof streams[1].key);
    CHECK(secagg_fixed_encode_masked_u32(out, values, LENGTH, 5, &encoding, &report) == SECAGG_OK);
    streams[1].sign = -1;
    CHECK(secagg_mask_apply_u32(out, LENGTH, 5, &streams[1], 1) == SECAGG_OK);
    PUBLIC(&out[0], sizeof out[0]);
    CHECK((out[0] & 0xfffff) == 0x100000 - 3000);
    free(values);
    free(out);
}

#if defined(__x86_64__)
/* The AVX2 sum, which valgrind can run, unlike the rest of its level. */
static void taint_sum(void)
{
    static const struct {
        unsigned lane_bytes, bits;
    } kinds[] = {{2, 11}, {2, 16}, {4, 23}, {4, 29}, {4, 32}, {8, 41}, {8, 64}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const size_t size = (LENGTH * kinds[k].bits + 7) / 8;
        uint8_t *total = filled(LENGTH * kinds[k].lane_bytes);
        uint8_t *packed = filled(size);
        const uint8_t *const vectors[SECAGG_SUM_VECTORS] = {packed, packed, packed, packed};
        SECRET(total, LENGTH * kinds[k].lane_bytes);
        SECRET(packed, size);
        CHECK(secagg_sum_avx2(total, vectors, SECAGG_SUM_VECTORS, 0, size, LENGTH,
                              kinds[k].lane_bytes, kinds[k].bits) > LENGTH / 2);
        free(total);
        free(packed);
    }
}
#endif

static void taint_shamir(void)
{
    enum { COUNT = 2, THRESHOLD = 5 };
    const uint64_t points[THRESHOLD] = {1, 2, 3, 4, p - 1};
    uint64_t coefficients[COUNT * LIMBS * (THRESHOLD - 1)];
    uint64_t shares[COUNT * THRESHOLD * LIMBS];
    uint64_t lagrange[THRESHOLD];
    uint8_t *secrets = filled(COUNT * 32);
    uint8_t *expected = filled(COUNT * 32);
    uint8_t back[COUNT * 32];

    for (size_t i = 0; i < sizeof coefficients / sizeof *coefficients; i++)
        coefficients[i] = p - 1 - i;
    SECRET(secrets, COUNT * 32);
    SECRET(coefficients, sizeof coefficients);
    CHECK(secagg_shamir_split_m61(shares, secrets, COUNT, coefficients, THRESHOLD - 1, points,
                                  THRESHOLD) == SECAGG_OK);
    CHECK(secagg_shamir_lagrange_m61(lagrange, points, THRESHOLD) == SECAGG_OK);
    CHECK(secagg_shamir_combine_m61(back, shares, COUNT, lagrange, THRESHOLD) == SECAGG_OK);
    PUBLIC(back, sizeof back);
    CHECK(memcmp(back, expected, sizeof back) == 0);

    /* A wrong share: the refusal is public, nothing else. */
    shares[3] ^= UINT64_C(1) << 59;
    CHECK(secagg_shamir_combine_m61(back, shares, COUNT, lagrange, THRESHOLD) ==
          SECAGG_INCONSISTENT);
    shares[3] = p;
    SECRET(shares, sizeof shares[0]);
    CHECK(secagg_shamir_combine_m61(back, shares, COUNT, lagrange, THRESHOLD) ==
          SECAGG_NOT_CANONICAL);
    free(secrets);
    free(expected);
}

/* Runs one part and says how it went. `reported` is what memcheck must do about it. */
static void run(const char *name, void (*part)(void), int reported)
{
    const unsigned before = VALGRIND_COUNT_ERRORS;
    const int failed = failures;
    part();
    const int caught = VALGRIND_COUNT_ERRORS != before;
    if (caught != reported) {
        failures++;
        fprintf(stderr, "%s: %s\n", name,
                caught ? "depends on a secret" : "branches on a secret, yet was not caught");
    }
    printf("%-28s %s\n", name, failures == failed ? "ok" : "FAILED");
}

int main(void)
{
    if (!RUNNING_ON_VALGRIND) {
        fprintf(stderr, "run this under valgrind: without it nothing is checked\n");
        return 2;
    }
    printf("two reports follow, of the twins that must be caught\n");
    run("branching twin, caught", branching_twin, 1);
    run("indexing twin, caught", indexing_twin, 1);

    run("comparisons", taint_comparisons, 0);
    run("wipe", taint_wipe, 0);
    run("ring, 16-bit lanes", taint_ring_u16, 0);
    run("ring, 32-bit lanes", taint_ring_u32, 0);
    run("ring, 64-bit lanes", taint_ring_u64, 0);
    run("fixed point", taint_fixed, 0);
    run("shamir", taint_shamir, 0);
    if (secagg_cpu_select("aesni") == SECAGG_OK) {
        run("masks, AES-NI", taint_masks, 0);
        run("encoding, AES-NI", taint_encode, 0);
    } else if (secagg_cpu_select("armv8") == SECAGG_OK) {
        run("masks, ARMv8", taint_masks, 0);
        run("encoding, ARMv8", taint_encode, 0);
    } else {
        printf("masks: skipped, this CPU has neither AES-NI nor ARMv8's AES\n");
    }
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        run("sum, AVX2", taint_sum, 0);
    else
        printf("sum, AVX2: skipped, this CPU has none\n");
#endif
    return failures != 0;
}
