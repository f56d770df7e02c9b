/*
 * Packed vectors added to a total, several in one pass, with AVX2. Built with -mavx2.
 *
 * Eight elements of b bits fill b bytes, so every group of eight begins with a byte. A shuffle
 * brings the bytes that hold an element into its lane, a shift by a constant of the lane brings
 * its first bit down. An element of more than 25 bits can lie in five bytes: a second shuffle and
 * a shift to the left bring the fifth.
 */
#include "internal.h"

#include <immintrin.h>

enum { GROUP = 8, LOAD = 16 };

/* How to take four elements out of 16 bytes, the first beginning `skip` bits in. */
struct window {
    uint8_t low[16];   /* shuffle: the four bytes from an element's first bit on */
    uint8_t fifth[16]; /* shuffle: the byte behind them, or none */
    uint32_t down[4];
    uint32_t up[4];
};

static struct window window_of(unsigned skip, unsigned bits)
{
    struct window window;
    for (unsigned i = 0; i < 4; i++) {
        const unsigned position = skip + i * bits;
        const unsigned byte = position / 8;
        const unsigned shift = position % 8;
        for (unsigned j = 0; j < 4; j++) {
            window.low[4 * i + j] = (uint8_t)(byte + j < LOAD ? byte + j : 0x80);
            window.fifth[4 * i + j] = 0x80;
        }
        if (shift + bits > 32)
            window.fifth[4 * i] = (uint8_t)(byte + 4);
        window.down[i] = shift;
        window.up[i] = 32 - shift; /* 32 shifts everything out */
    }
    return window;
}

static inline __m128i load(const void *place)
{
    return _mm_loadu_si128((const __m128i *)place);
}

static inline __m256i load_halves(const void *low, const void *high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load(low)), load(high), 1);
}

struct group {
    __m256i low, fifth, down, up, keep;
    size_t second; /* the byte in which the fifth element begins */
};

static struct group group_of(unsigned bits)
{
    const struct window first = window_of(0, bits);
    const struct window second = window_of(4 * bits % 8, bits);
    return (struct group){
        .low = load_halves(first.low, second.low),
        .fifth = load_halves(first.fifth, second.fifth),
        .down = load_halves(first.down, second.down),
        .up = load_halves(first.up, second.up),
        .keep = _mm256_set1_epi32((int)(UINT32_MAX >> (32 - bits))),
        .second = 4 * bits / 8,
    };
}

/* Eight elements of up to 32 bits. */
static inline __attribute__((always_inline)) __m256i eight(const uint8_t *place,
                                                          const struct group *group,
                                                          const int five_bytes)
{
    const __m256i bytes = load_halves(place, place + group->second);
    __m256i lanes = _mm256_srlv_epi32(_mm256_shuffle_epi8(bytes, group->low), group->down);
    if (five_bytes)
        lanes = _mm256_or_si256(
            lanes, _mm256_sllv_epi32(_mm256_shuffle_epi8(bytes, group->fifth), group->up));
    return _mm256_and_si256(lanes, group->keep);
}

/* count and five_bytes are constants where this is inlined. */
static inline __attribute__((always_inline)) void
sum_u32(uint32_t *total, const uint8_t *const *packed, const size_t count, size_t start,
        size_t groups, unsigned bits, const int five_bytes)
{
    const struct group group = group_of(bits);
    for (; groups != 0; groups--, total += GROUP, start += bits) {
        __m256i lanes = _mm256_loadu_si256((const __m256i *)(const void *)total);
        for (size_t v = 0; v < count; v++)
            lanes = _mm256_add_epi32(lanes, eight(packed[v] + start, &group, five_bytes));
        _mm256_storeu_si256((__m256i *)(void *)total, lanes);
    }
}

/* Two groups at a time, because two of them fill a register of 16-bit lanes. */
static inline __attribute__((always_inline)) void
sum_u16(uint16_t *total, const uint8_t *const *packed, const size_t count, size_t start,
        size_t groups, unsigned bits)
{
    const struct group group = group_of(bits);
    for (; groups != 0; groups -= 2, total += 2 * GROUP, start += 2 * bits) {
        __m256i low = _mm256_setzero_si256(), high = low;
        for (size_t v = 0; v < count; v++) {
            low = _mm256_add_epi32(low, eight(packed[v] + start, &group, 0));
            high = _mm256_add_epi32(high, eight(packed[v] + start + bits, &group, 0));
        }
        /* To 16 bits, modulo 2^16 as any sum in this lane, so that the pack does not saturate. */
        const __m256i keep = _mm256_set1_epi32(0xffff);
        const __m256i lanes = _mm256_permute4x64_epi64(
            _mm256_packus_epi32(_mm256_and_si256(low, keep), _mm256_and_si256(high, keep)), 0xd8);
        const __m256i before = _mm256_loadu_si256((const __m256i *)(const void *)total);
        _mm256_storeu_si256((__m256i *)(void *)total, _mm256_add_epi16(before, lanes));
    }
}

/* Pairs of elements of 33 to 57 bits: each lies in the eight bytes from its first bit on. */
struct pairs {
    __m256i low[2], down[2];
    size_t begin[4];
};

static struct pairs pairs_of(unsigned bits)
{
    struct pairs pairs;
    uint8_t low[4][16];
    uint64_t down[4][2];
    for (unsigned p = 0; p < 4; p++) {
        pairs.begin[p] = 2 * p * bits / 8;
        for (unsigned i = 0; i < 2; i++) {
            const unsigned position = 2 * p * bits % 8 + i * bits;
            for (unsigned j = 0; j < 8; j++) {
                const unsigned byte = position / 8 + j;
                low[p][8 * i + j] = (uint8_t)(byte < LOAD ? byte : 0x80);
            }
            down[p][i] = position % 8;
        }
    }
    for (unsigned h = 0; h < 2; h++) {
        pairs.low[h] = load_halves(low[2 * h], low[2 * h + 1]);
        pairs.down[h] = load_halves(down[2 * h], down[2 * h + 1]);
    }
    return pairs;
}

static inline __attribute__((always_inline)) void
sum_u64(uint64_t *total, const uint8_t *const *packed, const size_t count, size_t start,
        size_t groups, unsigned bits)
{
    const struct pairs pairs = pairs_of(bits);
    const __m256i keep = _mm256_set1_epi64x((long long)(UINT64_MAX >> (64 - bits)));
    for (; groups != 0; groups--, total += GROUP, start += bits)
        for (size_t h = 0; h < 2; h++) {
            __m256i *place = (__m256i *)(void *)(total + 4 * h);
            __m256i lanes = _mm256_loadu_si256(place);
            for (size_t v = 0; v < count; v++) {
                const uint8_t *from = packed[v] + start;
                const __m256i bytes =
                    load_halves(from + pairs.begin[2 * h], from + pairs.begin[2 * h + 1]);
                const __m256i values = _mm256_srlv_epi64(
                    _mm256_shuffle_epi8(bytes, pairs.low[h]), pairs.down[h]);
                lanes = _mm256_add_epi64(lanes, _mm256_and_si256(values, keep));
            }
            _mm256_storeu_si256(place, lanes);
        }
}

/* Elements as wide as their lane, in registers of 32 bytes. */
#define SUM_WHOLE(name, add)                                                                      \
    static inline __attribute__((always_inline)) void name(                                       \
        uint8_t *total, const uint8_t *const *packed, const size_t count, size_t start,           \
        size_t registers)                                                                         \
    {                                                                                             \
        for (; registers != 0; registers--, total += 32, start += 32) {                           \
            __m256i lanes = _mm256_loadu_si256((const __m256i *)(const void *)total);             \
            for (size_t v = 0; v < count; v++)                                                    \
                lanes = add(lanes,                                                                \
                            _mm256_loadu_si256((const __m256i *)(const void *)(packed[v] +        \
                                                                               start)));          \
            _mm256_storeu_si256((__m256i *)(void *)total, lanes);                                 \
        }                                                                                         \
    }

SUM_WHOLE(sum_whole_u16, _mm256_add_epi16)
SUM_WHOLE(sum_whole_u32, _mm256_add_epi32)
SUM_WHOLE(sum_whole_u64, _mm256_add_epi64)

static inline __attribute__((always_inline)) void
sum(uint8_t *total, const uint8_t *const *packed, const size_t count, size_t start, size_t groups,
    unsigned lane_bytes, unsigned bits)
{
    void *lanes = total;
    const size_t registers = groups * GROUP * lane_bytes / 32;
    if (bits == 8 * lane_bytes) {
        if (lane_bytes == 2)
            sum_whole_u16(total, packed, count, start, registers);
        else if (lane_bytes == 4)
            sum_whole_u32(total, packed, count, start, registers);
        else
            sum_whole_u64(total, packed, count, start, registers);
    } else if (lane_bytes == 2) {
        sum_u16(lanes, packed, count, start, groups, bits);
    } else if (lane_bytes == 4 && bits <= 25) {
        sum_u32(lanes, packed, count, start, groups, bits, 0);
    } else if (lane_bytes == 4) {
        sum_u32(lanes, packed, count, start, groups, bits, 1);
    } else {
        sum_u64(lanes, packed, count, start, groups, bits);
    }
}

/* Groups that can be taken without reading too far: the last load of a group begins less than
 * `bits` bytes into it and takes 16. */
static size_t groups_within(size_t readable, size_t length, unsigned lane_bytes, unsigned bits)
{
    const size_t groups = length / GROUP;
    if (bits != 8 * lane_bytes && readable < (groups + 1) * bits + LOAD) {
        const size_t safe = readable < bits + LOAD ? 0 : (readable - LOAD) / bits;
        return (safe < groups ? safe : groups) & ~(size_t)1;
    }
    return groups & ~(size_t)1;
}

size_t secagg_sum_avx2(uint8_t *total, const uint8_t *const *packed, size_t count, size_t start,
                       size_t readable, size_t length, unsigned lane_bytes, unsigned bits)
{
    const size_t groups = groups_within(readable, length, lane_bytes, bits);
    if (bits != 8 * lane_bytes && (bits > 57 || (lane_bytes == 8 && bits <= 32)))
        return 0;
    if (count == 1)
        sum(total, packed, 1, start, groups, lane_bytes, bits);
    else if (count == 2)
        sum(total, packed, 2, start, groups, lane_bytes, bits);
    else if (count == 3)
        sum(total, packed, 3, start, groups, lane_bytes, bits);
    else
        sum(total, packed, SECAGG_SUM_VECTORS, start, groups, lane_bytes, bits);
    _mm256_zeroall();
    return groups * GROUP;
}
