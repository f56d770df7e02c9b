/*
 * Floats to whole numbers with AVX2, eight at a time: clamped, scaled, rounded, signed. In single
 * precision where that is exact, in stages between which a caller may do something else; in double
 * precision for any scale. For vaes.c, which does AES in between.
 *
 * The results are those of portable.c to the bit. Magnitudes are below 2^31 here, so that 32-bit
 * integers hold them; MXCSR rounds to nearest, as everywhere in this core.
 */
#ifndef SECAGG_ROUNDING_H
#define SECAGG_ROUNDING_H

#include "internal.h"

#include <immintrin.h>

enum {
    GROUPS = 8,  /* of eight values, that a job rounds */
    AHEAD = 2048 /* bytes; the CPU's own prefetcher stops where a page ends */
};

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

/* What is rounded at a time: eight times GROUPS values to `whole`, with the randomness drawn for
 * them. */
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
    __m256 scaled[GROUPS];
    __m256i floor[GROUPS];
    __m256 fraction[GROUPS];
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
enum { ROUND_TURNS = GROUPS + 2 };

static inline __attribute__((always_inline)) void turn(struct stages *stages, size_t t,
                                                       const struct job *job,
                                                       struct findings *findings,
                                                       const int stochastic)
{
    if (t >= 2)
        third_stage(stages, t - 2, job, stochastic);
    if (t >= 1 && t <= GROUPS)
        second_stage(stages, t - 1, stochastic);
    if (t < GROUPS)
        first_stage(stages, t, job, findings);
}

/* The same in double precision, for any scale, with no AES beside it: both need the registers. */
static inline __attribute__((always_inline)) void
round_in_double(const struct job *job, struct findings *findings, const int stochastic)
{
    for (size_t i = 0; i < GROUPS; i++) {
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

#endif
