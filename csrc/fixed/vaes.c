/*
 * Floats to masked lanes with AVX2 and VAES, in one pass over memory. Built like mask/vaes.c.
 *
 * The keystreams of a batch of 128 values are computed while the batch before it is rounded,
 * instruction by instruction: AES, arithmetic and memory overlap. What a batch needs in between
 * stays in the first-level cache, in `struct work`. How values are rounded is in rounding.h.
 */
#include "mask/x86.h"

#include "fixed/rounding.h"
#include "mask/schedule.h"

enum {
    BATCH = SECAGG_ENCODE_BATCH,
    WAYS = 8, /* registers of keystream in flight: covers the latency of an AES round */
    PAIR = 32,
    LARGE = 16 * 1024 * 1024,
    BURST = WAYS * PAIR,
    STEP = 8 * GROUPS, /* values that are rounded beside one burst */
    STEPS = BATCH / STEP
};

struct keystream {
    __m256i keys[AES256_ROUNDS + 1];
    __m256i counters; /* iv || block index, the index in the CPU's byte order */
    int rounds;
};

/* The keystreams of one batch. */
struct drawn {
    __m256i random[BATCH * sizeof(uint16_t) / PAIR];
    __m256i mask[BATCH * sizeof(uint64_t) / PAIR];
};

struct work {
    struct keystream rounding;
    struct keystream mask;
    struct drawn drawn[2]; /* for the batch in hand, and for the next one */
    __m256i whole[BATCH * sizeof(uint32_t) / PAIR];
};

static void open_keystream(struct keystream *keystream, const struct secagg_mask_stream *stream,
                           uint64_t start)
{
    __m128i keys[AES256_ROUNDS + 1];
    uint32_t words[4];
    const uint32_t block = (uint32_t)(start / 16);

    keystream->rounds = stream->key_size == 16 ? AES128_ROUNDS : AES256_ROUNDS;
    if (stream->key_size == 16)
        expand_aes128(keys, stream->key);
    else
        expand_aes256(keys, stream->key);
    for (int i = 0; i <= keystream->rounds; i++)
        keystream->keys[i] = _mm256_broadcastsi128_si256(keys[i]);
    wipe(keys, sizeof keys);
    memcpy(words, stream->iv, 12);
    words[3] = block;
    keystream->counters = _mm256_add_epi32(
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)words)),
        _mm256_setr_epi32(0, 0, 0, 0, 0, 0, 0, 1));
}

#define EIGHT_TIMES(statement)                                                                    \
    statement(0) statement(1) statement(2) statement(3) statement(4) statement(5) statement(6)    \
        statement(7)

/* One burst of keystream to `out`, and between its AES rounds the turns of a job: both keep
 * different parts of the CPU busy. Without a keystream (rounds is 0) the job only, without a job
 * the burst only. The last three arguments are constants where this is inlined. */
static inline __attribute__((always_inline)) void
step(struct keystream *keystream, __m256i *out, const struct job *job, struct findings *found,
     const int rounds, const int in_float, const int stochastic)
{
    const int beside = job != NULL && in_float;
    struct findings findings = *found;
    struct stages stages;

    if (job != NULL && !in_float)
        round_in_double(job, &findings, stochastic);
    if (rounds == 0) {
#pragma GCC unroll 16
        for (size_t t = 0; t < ROUND_TURNS; t++)
            if (beside)
                turn(&stages, t, job, &findings, stochastic);
    } else {
        const __m256i big_endian = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12));
        const __m256i two = _mm256_setr_epi32(0, 0, 0, 2, 0, 0, 0, 2);
        const __m256i *keys = keystream->keys;
        __m256i counters = keystream->counters;
#define START(i)                                                                                  \
    __m256i state##i = _mm256_xor_si256(_mm256_shuffle_epi8(counters, big_endian), keys[0]);      \
    counters = _mm256_add_epi32(counters, two);
        EIGHT_TIMES(START)
#undef START
        keystream->counters = counters;
        if (beside)
            turn(&stages, 0, job, &findings, stochastic);
#pragma GCC unroll 16
        for (int round = 1; round < rounds; round++) {
            const __m256i key = keys[round];
#define ROUND(i) state##i = _mm256_aesenc_epi128(state##i, key);
            EIGHT_TIMES(ROUND)
#undef ROUND
            if (beside && round < ROUND_TURNS)
                turn(&stages, (size_t)round, job, &findings, stochastic);
        }
        const __m256i last = keys[rounds];
#define FINISH(i) _mm256_store_si256(out + (i), _mm256_aesenclast_epi128(state##i, last));
        EIGHT_TIMES(FINISH)
#undef FINISH
    }
    *found = findings;
}

typedef void stepper(struct keystream *keystream, __m256i *out, const struct job *job,
                     struct findings *findings);

#define STEPPER(name, rounds, in_float, stochastic)                                               \
    static __attribute__((noinline)) void name(struct keystream *keystream, __m256i *out,         \
                                               const struct job *job, struct findings *findings)  \
    {                                                                                             \
        step(keystream, out, job, findings, rounds, in_float, stochastic);                        \
    }

STEPPER(nearest_in_double, 0, 0, 0)
STEPPER(stochastic_in_double, 0, 0, 1)
STEPPER(nearest_in_float, 0, 1, 0)
STEPPER(nearest_in_float_aes128, AES128_ROUNDS, 1, 0)
STEPPER(nearest_in_float_aes256, AES256_ROUNDS, 1, 0)
STEPPER(stochastic_in_float, 0, 1, 1)
STEPPER(stochastic_in_float_aes128, AES128_ROUNDS, 1, 1)
STEPPER(stochastic_in_float_aes256, AES256_ROUNDS, 1, 1)

/* By precision, rounding, and what AES is beside it: none, 128, 256. */
static stepper *const steppers[2][2][3] = {
    {{nearest_in_double}, {stochastic_in_double}},
    {{nearest_in_float, nearest_in_float_aes128, nearest_in_float_aes256},
     {stochastic_in_float, stochastic_in_float_aes128, stochastic_in_float_aes256}},
};

static __attribute__((noinline)) void draw_aes128(struct keystream *keystream, __m256i *out)
{
    struct findings none = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    step(keystream, out, NULL, &none, AES128_ROUNDS, 0, 0);
}

static __attribute__((noinline)) void draw_aes256(struct keystream *keystream, __m256i *out)
{
    struct findings none = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    step(keystream, out, NULL, &none, AES256_ROUNDS, 0, 0);
}

static void draw(struct keystream *keystream, __m256i *out)
{
    if (keystream->rounds == AES128_ROUNDS)
        draw_aes128(keystream, out);
    else
        draw_aes256(keystream, out);
}

/* One of the bursts that a batch needs: from this keystream to this place in `drawn`. */
struct burst {
    struct keystream *keystream;
    size_t place; /* in registers from the begin of struct drawn */
};

enum { MOST_BURSTS = sizeof(struct drawn) / BURST };

static size_t bursts_of(struct burst *bursts, struct work *work, unsigned lane_bytes,
                        const struct secagg_encoding *encoding)
{
    size_t count = 0;
    if (encoding->rounding != NULL)
        bursts[count++] = (struct burst){&work->rounding, 0};
    if (encoding->mask != NULL)
        for (size_t i = 0; i < (size_t)BATCH * lane_bytes / BURST; i++)
            bursts[count++] = (struct burst){
                &work->mask, offsetof(struct drawn, mask) / PAIR + i * WAYS};
    return count;
}

/* An output larger than the caches is in none of them when it is read next: it is written past
 * them, which spares reading it first. Else its lines are fetched before they are written. */
static inline __attribute__((always_inline)) void put(__m256i *out, __m256i lanes, int past_caches)
{
    if (past_caches) {
        _mm256_stream_si256(out, lanes);
    } else {
        _mm_prefetch((const char *)out + AHEAD, _MM_HINT_T0);
        _mm256_storeu_si256(out, lanes);
    }
}

/* Integers to lanes of b bits, plus the keystream if there is one. */

static void store_u16(__m256i *out, const __m256i *whole, const __m256i *stream, uint64_t mask,
                      int past_caches)
{
    const __m256i keep = _mm256_set1_epi32((int)(uint32_t)mask);
    for (size_t i = 0; i < BATCH / 16; i++) {
        /* Both halves are below 2^16, so nothing saturates; the pack interleaves 64-bit words. */
        __m256i lanes = _mm256_permute4x64_epi64(
            _mm256_packus_epi32(_mm256_and_si256(whole[2 * i], keep),
                                _mm256_and_si256(whole[2 * i + 1], keep)),
            0xd8);
        if (stream != NULL)
            lanes = _mm256_add_epi16(lanes, stream[i]);
        put(out + i, lanes, past_caches);
    }
}

static void store_u32(__m256i *out, const __m256i *whole, const __m256i *stream, uint64_t mask,
                      int past_caches)
{
    const __m256i keep = _mm256_set1_epi32((int)(uint32_t)mask);
    for (size_t i = 0; i < BATCH / 8; i++) {
        __m256i lanes = _mm256_and_si256(whole[i], keep);
        if (stream != NULL)
            lanes = _mm256_add_epi32(lanes, stream[i]);
        put(out + i, lanes, past_caches);
    }
}

static void store_u64(__m256i *out, const __m256i *whole, const __m256i *stream, uint64_t mask,
                      int past_caches)
{
    const __m256i keep = _mm256_set1_epi64x((long long)mask);
    for (size_t i = 0; i < BATCH / 4; i++) {
        const __m128i *half = (const __m128i *)(const void *)whole + i;
        __m256i lanes = _mm256_and_si256(_mm256_cvtepi32_epi64(_mm_load_si128(half)), keep);
        if (stream != NULL)
            lanes = _mm256_add_epi64(lanes, stream[i]);
        put(out + i, lanes, past_caches);
    }
}

/* What the caller is told: how many values were saturated, and whether all were finite. */
static __attribute__((noinline)) uint64_t told(const struct findings *findings,
                                               uint64_t *saturated)
{
    uint32_t counts[8], largest[8];
    uint64_t not_finite = 0;
    _mm256_storeu_si256((__m256i *)(void *)counts, findings->saturated);
    _mm256_storeu_si256((__m256i *)(void *)largest, findings->largest);
    for (size_t i = 0; i < 8; i++) {
        *saturated += 0 - counts[i];
        not_finite |= (largest[i] + 0x00800000u) >> 31; /* all bits of the exponent are set */
    }
    wipe(largest, sizeof largest);
    return not_finite;
}

uint64_t secagg_encode_vaes(uint8_t *out, const float *values, size_t batches, uint64_t offset,
                            unsigned lane_bytes, const struct secagg_encoding *encoding,
                            uint64_t *saturated)
{
    struct work work;
    struct findings findings = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    struct burst bursts[MOST_BURSTS];
    const struct rule rule = rule_of(encoding->clip, encoding->scale);
    const size_t count = bursts_of(bursts, &work, lane_bytes, encoding);
    const int in_float = exact_in_float(encoding->clip, encoding->scale);
    stepper *const *steps = steppers[in_float][encoding->rounding != NULL];
    const uint64_t keep = UINT64_MAX >> (64 - encoding->bits);
    const int past_caches = (size_t)BATCH * lane_bytes * batches >= LARGE &&
                            (uintptr_t)out % sizeof(__m256i) == 0;
    struct drawn *now = &work.drawn[0], *next = &work.drawn[1];

    if (encoding->rounding != NULL)
        open_keystream(&work.rounding, encoding->rounding, offset * sizeof(uint16_t));
    if (encoding->mask != NULL)
        open_keystream(&work.mask, encoding->mask, offset * lane_bytes);
    for (size_t b = 0; b < count; b++)
        draw(bursts[b].keystream, (__m256i *)(void *)now + bursts[b].place);
    for (; batches != 0; batches--, out += (size_t)BATCH * lane_bytes) {
        /* The bursts of the next batch: as many as there are steps while this one is rounded. */
        for (size_t b = 0; b < (count > STEPS ? count : STEPS); b++) {
            struct keystream *keystream = b < count ? bursts[b].keystream : NULL;
            __m256i *place = b < count ? (__m256i *)(void *)next + bursts[b].place : NULL;
            const size_t cipher = keystream == NULL                          ? 0
                                  : keystream->rounds == AES128_ROUNDS ? 1
                                                                             : 2;
            if (keystream != NULL && (b >= STEPS || !in_float))
                draw(keystream, place);
            if (b < STEPS) {
                const struct job job = {values, (const __m128i *)(void *)now->random + b * GROUPS,
                                        work.whole + b * GROUPS, &rule};
                steps[in_float ? cipher : 0](keystream, place, &job, &findings);
                values += STEP;
            }
        }
        const __m256i *mask = encoding->mask == NULL ? NULL : now->mask;
        if (lane_bytes == 2)
            store_u16((__m256i *)(void *)out, work.whole, mask, keep, past_caches);
        else if (lane_bytes == 4)
            store_u32((__m256i *)(void *)out, work.whole, mask, keep, past_caches);
        else
            store_u64((__m256i *)(void *)out, work.whole, mask, keep, past_caches);
        struct drawn *const spare = now;
        now = next;
        next = spare;
    }

    if (past_caches)
        _mm_sfence();
    const uint64_t not_finite = told(&findings, saturated);
    wipe(&work, sizeof work);
    wipe(&findings, sizeof findings);
    _mm256_zeroall();
    return not_finite;
}
