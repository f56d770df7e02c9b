/*
 * Floats to masked lanes with AVX2 and VAES, in one pass over memory. Built like mask/vaes.c.
 *
 * The keystreams of a batch of 128 values are computed while the batch before it is rounded,
 * instruction by instruction: AES, arithmetic and memory overlap. What a batch needs in between
 * stays in the first-level cache, in `struct work`.
 *
 * The results are those of portable.c to the bit. Magnitudes are below 2^31 here, so that 32-bit
 * integers hold them; MXCSR rounds to nearest, as everywhere in this core.
 */
#include "mask/x86.h"

#include "mask/schedule.h"

enum {
    BATCH = SECAGG_ENCODE_BATCH,
    WAYS = 8, /* registers of keystream in flight: covers the latency of an AES round */
    PAIR = 32,
    AHEAD = 2048, /* bytes; the CPU's own prefetcher stops where a page ends */
    LARGE = 16 * 1024 * 1024,
    BURST = WAYS * PAIR,
    STEP = 8 * WAYS, /* values that are rounded beside one burst */
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

struct findings {
    __m256i saturated; /* minus the number of values beyond the clip, by lane */
    __m256i largest;   /* the largest magnitudes, as the bits of a float, by lane */
};

/* The largest float that is no larger than the clip: a float is beyond one if and only if it is
 * beyond the other. */
static float float_below(double clip)
{
    float rounded = (float)clip;
    uint32_t word;
    if ((double)rounded <= clip)
        return rounded;
    memcpy(&word, &rounded, sizeof word);
    word--; /* the next float towards zero */
    memcpy(&rounded, &word, sizeof word);
    return rounded;
}

/* Whether single precision computes value * scale, its integer part and its fraction without
 * rounding, for all |value| <= clip: scale is a power of two. */
static __attribute__((noinline)) int exact_in_float(double clip, double scale)
{
    uint64_t word;
    memcpy(&word, &scale, sizeof word);
    return scale >= 1 && word << 12 == 0 && (double)(float)clip == clip;
}

/* The constants of the arithmetic, in memory because AES needs the registers. */
struct rule {
    __m256i no_sign;
    __m256i clip; /* as the bits of a float */
    __m256 scale;
    __m256 two_to_16;
    __m256d wide_clip;
    __m256d wide_scale;
};

static __attribute__((noinline)) struct rule rule_of(double clip, double scale)
{
    return (struct rule){
        .no_sign = _mm256_set1_epi32(0x7fffffff),
        .clip = _mm256_castps_si256(_mm256_set1_ps(float_below(clip))),
        .scale = _mm256_set1_ps((float)scale),
        .two_to_16 = _mm256_set1_ps(65536.0f),
        .wide_clip = _mm256_set1_pd(clip),
        .wide_scale = _mm256_set1_pd(scale),
    };
}

static inline __m256i halves(__m128i low, __m128i high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* The integer parts of four numbers, and their fractions times 2^16, rounded half to even. */
static inline __m128i cut(__m256d scaled, __m128i *fraction)
{
    const __m256d whole = _mm256_round_pd(scaled, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    *fraction =
        _mm256_cvtpd_epi32(_mm256_mul_pd(_mm256_sub_pd(scaled, whole), _mm256_set1_pd(65536.0)));
    return _mm256_cvttpd_epi32(whole);
}

/* What a step rounds: STEP values to `whole`, with the randomness drawn for them. */
struct job {
    const float *values;
    const __m128i *random; /* eight words of 16 bits for eight values */
    __m256i *whole;
    const struct rule *rule;
};

/* Rounding eight values takes three stages, and the instructions of one stage wait for those of
 * the stage before. So a step works on three groups of eight at a time, each in another stage:
 * what stands next to each other in the program is then independent. */
struct stages {
    __m256 scaled[WAYS];
    __m256i floor[WAYS];
    __m256 fraction[WAYS];
};

/* Clamp and scale. Positive floats are in the order of their bits, and integer comparisons leave
 * AES its pipes. */
static inline __attribute__((always_inline)) void
first_stage(struct stages *stages, size_t i, const struct job *job, struct findings *findings)
{
    const __m256i value = _mm256_loadu_si256((const __m256i *)(const void *)job->values + i);
    const __m256i size = _mm256_and_si256(value, job->rule->no_sign);
    _mm_prefetch((const char *)(job->values + 8 * i) + AHEAD, _MM_HINT_T0);
    findings->saturated =
        _mm256_add_epi32(findings->saturated, _mm256_cmpgt_epi32(size, job->rule->clip));
    findings->largest = _mm256_max_epi32(findings->largest, size);
    /* Or the compiler would put these off until AES is done, and keep all the comparisons. */
    __asm__ __volatile__("" : "+x"(findings->saturated), "+x"(findings->largest));
    stages->scaled[i] = _mm256_mul_ps(
        _mm256_castsi256_ps(_mm256_min_epi32(size, job->rule->clip)), job->rule->scale);
}

/* Cut. */
static inline __attribute__((always_inline)) void second_stage(struct stages *stages, size_t i,
                                                               const int stochastic)
{
    if (stochastic) {
        stages->floor[i] = _mm256_cvttps_epi32(stages->scaled[i]);
        stages->fraction[i] =
            _mm256_sub_ps(stages->scaled[i], _mm256_cvtepi32_ps(stages->floor[i]));
    } else {
        stages->floor[i] = _mm256_cvtps_epi32(stages->scaled[i]);
    }
}

static inline __m256i with_sign(__m256i magnitude, const float *values)
{
    const __m256i sign =
        _mm256_srai_epi32(_mm256_loadu_si256((const __m256i *)(const void *)values), 31);
    return _mm256_sub_epi32(_mm256_xor_si256(magnitude, sign), sign);
}

static inline __m256i random_words(const struct job *job, size_t i)
{
    return _mm256_cvtepu16_epi32(_mm_load_si128(job->random + i));
}

/* Round, and give back the sign. */
static inline __attribute__((always_inline)) void
third_stage(const struct stages *stages, size_t i, const struct job *job, const int stochastic)
{
    __m256i magnitude = stages->floor[i];
    if (stochastic) {
        const __m256i threshold =
            _mm256_cvtps_epi32(_mm256_mul_ps(stages->fraction[i], job->rule->two_to_16));
        magnitude =
            _mm256_sub_epi32(magnitude, _mm256_cmpgt_epi32(threshold, random_words(job, i)));
    }
    _mm256_store_si256(job->whole + i, with_sign(magnitude, job->values + 8 * i));
}

/* Turn t of ROUND_TURNS: one group in each stage. */
enum { ROUND_TURNS = WAYS + 2 };

static inline __attribute__((always_inline)) void turn(struct stages *stages, size_t t,
                                                       const struct job *job,
                                                       struct findings *findings,
                                                       const int stochastic)
{
    if (t >= 2)
        third_stage(stages, t - 2, job, stochastic);
    if (t >= 1 && t <= WAYS)
        second_stage(stages, t - 1, stochastic);
    if (t < WAYS)
        first_stage(stages, t, job, findings);
}

/* The same in double precision, for any scale, with no AES beside it: both need the registers. */
static inline __attribute__((always_inline)) void
round_in_double(const struct job *job, struct findings *findings, const int stochastic)
{
    for (size_t i = 0; i < WAYS; i++) {
        const __m256i value = _mm256_loadu_si256((const __m256i *)(const void *)job->values + i);
        const __m256i size = _mm256_and_si256(value, job->rule->no_sign);
        const __m256 narrow = _mm256_castsi256_ps(size);
        const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(narrow));
        const __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(narrow, 1));
        const __m256d low_scaled =
            _mm256_mul_pd(_mm256_min_pd(low, job->rule->wide_clip), job->rule->wide_scale);
        const __m256d high_scaled =
            _mm256_mul_pd(_mm256_min_pd(high, job->rule->wide_clip), job->rule->wide_scale);
        __m256i magnitude;

        _mm_prefetch((const char *)(job->values + 8 * i) + AHEAD, _MM_HINT_T0);
        findings->saturated =
            _mm256_add_epi32(findings->saturated, _mm256_cmpgt_epi32(size, job->rule->clip));
        findings->largest = _mm256_max_epi32(findings->largest, size);
        if (stochastic) {
            __m128i low_threshold, high_threshold;
            const __m128i low_floor = cut(low_scaled, &low_threshold);
            const __m128i high_floor = cut(high_scaled, &high_threshold);
            magnitude = _mm256_sub_epi32(
                halves(low_floor, high_floor),
                _mm256_cmpgt_epi32(halves(low_threshold, high_threshold), random_words(job, i)));
        } else {
            magnitude = halves(_mm256_cvtpd_epi32(low_scaled), _mm256_cvtpd_epi32(high_scaled));
        }
        _mm256_store_si256(job->whole + i, with_sign(magnitude, job->values + 8 * i));
    }
}

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
            const struct job job = {values, (const __m128i *)(void *)now->random + b * WAYS,
                                    work.whole + b * WAYS, &rule};
            struct keystream *keystream = b < count ? bursts[b].keystream : NULL;
            __m256i *place = b < count ? (__m256i *)(void *)next + bursts[b].place : NULL;
            const size_t cipher = keystream == NULL                          ? 0
                                  : keystream->rounds == AES128_ROUNDS ? 1
                                                                             : 2;
            if (keystream != NULL && (b >= STEPS || !in_float))
                draw(keystream, place);
            if (b < STEPS) {
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
