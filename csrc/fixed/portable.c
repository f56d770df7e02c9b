/*
 * Floats to ring elements and back.
 *
 * Every result is exact given q, so that all levels and machines agree to the bit: no rounding
 * mode, no fused multiply-add (the build turns contraction off for this file).
 */
#include "internal.h"

#include <math.h>

/* q = +-(whole + part), with whole < 2^63 and 0 <= part < 1. */
struct split {
    uint64_t whole;
    double part;
    uint64_t negative; /* all ones or zero */
};

/* Counts the value as saturated if its magnitude exceeds clip. Both clamps compile to min and max
 * instructions and the comparisons to setcc: no branch depends on the value.
 *
 * whole: |clamped| <= clip, and rounding is monotone, so magnitude <= clip * scale < 2^63. part:
 * whole is representable, and the difference of magnitude and its integer part is exact. */
static inline struct split split(float value, double clip, double scale, uint64_t *saturated)
{
    const double x = value;
    const double below = x > clip ? clip : x;
    const double clamped = below < -clip ? -clip : below;
    const double q = clamped * scale;
    const double magnitude = fabs(q);
    const int64_t whole = (int64_t)magnitude;
    uint64_t word;

    memcpy(&word, &q, sizeof word);
    *saturated += fabs(x) > clip;
    return (struct split){(uint64_t)whole, magnitude - (double)whole, mask_of(word >> 63)};
}

/* 1 if the fraction rounds up, half to the even neighbour of `whole`. */
static inline uint64_t rounds_to_even(double part, uint64_t whole)
{
    return (uint64_t)(part > 0.5) | ((uint64_t)(part == 0.5) & whole);
}

/* 1 if the magnitude goes up to the next integer, for a random r: with a probability of the part
 * times 2^16, rounded, in 2^16. A part of 0 never goes up, so the magnitude never exceeds the next
 * integer above |q|. The product is exact. */
static inline uint64_t rounds_by(struct split q, uint16_t r)
{
    const double scaled = q.part * 65536.0;
    const uint64_t floor = (uint64_t)(int64_t)scaled;
    const double rest = scaled - (double)(int64_t)floor;
    return less_than(r, floor + (rounds_to_even(rest, floor) & 1));
}

/* The magnitude with q's sign, modulo 2^64. */
static inline uint64_t joined(struct split q, uint64_t magnitude)
{
    return (magnitude ^ q.negative) - q.negative;
}

/* The top bit of the result is set if and only if all bits of the exponent are: then the float is
 * infinite or NaN, and adding 1 to the exponent carries into the sign's place. */
static inline uint32_t not_finite(const float *value)
{
    uint32_t word;
    memcpy(&word, value, sizeof word);
    return (word & 0x7fffffffu) + 0x00800000u;
}

static int all_finite(const float *values, size_t length)
{
    uint32_t found = 0;
    for (size_t i = 0; i < length; i++)
        found |= not_finite(&values[i]);
    return verdict(found >> 31) == 0;
}

static uint64_t first_not_finite(const float *values)
{
    uint64_t i = 0;
    while (not_finite(&values[i]) >> 31 == 0)
        i++;
    return i;
}

/* Flipping the sign bit maps [-h, h) onto [0, 2h) in order; subtracting h = 2^(bits-1) goes back.
 * Modulo 2^64 that extends the sign, and the cast reads two's complement as gcc and clang do. */
static inline int64_t centered(uint64_t value, unsigned bits)
{
    const uint64_t half = UINT64_C(1) << (bits - 1);
    return (int64_t)(((value & (UINT64_MAX >> (64 - bits))) ^ half) - half);
}

#define LANE uint16_t
#define NAME(verb) secagg_fixed_##verb##_u16
#include "lanes.h"

#define LANE uint32_t
#define NAME(verb) secagg_fixed_##verb##_u32
#include "lanes.h"

#define LANE uint64_t
#define NAME(verb) secagg_fixed_##verb##_u64
#include "lanes.h"
