/*
 * The native interface of secagg: vector arithmetic in Z/2^b, AES-CTR masks, fixed point, Shamir.
 *
 * Conventions, for every function below:
 *
 * - Buffers belong to the caller, are aligned for their type and do not overlap.
 * - Lengths count elements, sizes count bytes. `bits` is the width of the ring, 1 up to the width
 *   of the lane; it and all lengths are public, values are secret unless said otherwise.
 * - Between operations the bits of a lane above `bits` may hold anything.
 * - Nothing allocates, blocks, locks or keeps state (but for the level that secagg_cpu_select
 *   chose). Functions that return int return SECAGG_OK or a negative code; after an error the
 *   outputs are as they were or all zero.
 * - Arguments are trusted as far as each comment says: secagg/kernels/__init__.py checks them.
 * - A vector's values decide no branch and no address. tests/ct.c checks this under valgrind.
 */
#ifndef SECAGG_H
#define SECAGG_H

#include <stddef.h>
#include <stdint.h>

/* The build hands what stands between the next mark and the last one to cffi, as it is. */
/* [cdef begin] */

enum {
    SECAGG_OK = 0,
    SECAGG_UNAVAILABLE = -1,  /* this CPU, or the level in use, cannot do it */
    SECAGG_PARAMETER = -2,    /* a public argument is out of range */
    SECAGG_NOT_CANONICAL = -3, /* an encoding, or a field element, is not the canonical one */
    SECAGG_NOT_FINITE = -4,   /* a float is infinite or not a number */
    SECAGG_INCONSISTENT = -5  /* the shares are not shares of one secret */
};

/* Level: "portable"; on x86-64 also "aesni" and "vaes"; on 64-bit ARM also "armv8".
 *
 * The level is "portable" until one is selected. Select before other threads call in. */

/* 1 if this build and this CPU can run the level, else 0. */
int secagg_cpu_supported(const char *name);

/* Uses the level from now on, or returns SECAGG_UNAVAILABLE and changes nothing. */
int secagg_cpu_select(const char *name);

/* The name of the level in use. */
const char *secagg_cpu_selected(void);

/* 1 if the level in use has the fused secagg_mask_apply functions, else 0. */
int secagg_cpu_has_masks(void);

/* Memory. */

/* Overwrites with zeros, in a way that the compiler may not remove. */
void secagg_bytes_wipe(uint8_t *buffer, size_t size);

/* Ring: vectors in Z/2^b, in lanes of 16, 32 or 64 bits. */

/* total[i] += vector[i], modulo 2 to the lane's width. A keystream in memory is such a vector. */
void secagg_ring_add_u16(uint16_t *total, const uint16_t *vector, size_t length);
void secagg_ring_add_u32(uint32_t *total, const uint32_t *vector, size_t length);
void secagg_ring_add_u64(uint64_t *total, const uint64_t *vector, size_t length);

/* total[i] -= vector[i], modulo 2 to the lane's width. */
void secagg_ring_subtract_u16(uint16_t *total, const uint16_t *vector, size_t length);
void secagg_ring_subtract_u32(uint32_t *total, const uint32_t *vector, size_t length);
void secagg_ring_subtract_u64(uint64_t *total, const uint64_t *vector, size_t length);

/* total[i] &= 2^bits - 1. */
void secagg_ring_reduce_u16(uint16_t *total, size_t length, unsigned bits);
void secagg_ring_reduce_u32(uint32_t *total, size_t length, unsigned bits);
void secagg_ring_reduce_u64(uint64_t *total, size_t length, unsigned bits);

/* Writes ceil(length * bits / 8) bytes: element i becomes the bits [i*bits, (i+1)*bits), where
 * bit j is bit j % 8 of byte j / 8. The padding bits of the last byte are zero. */
void secagg_ring_pack_u16(uint8_t *packed, const uint16_t *vector, size_t length, unsigned bits);
void secagg_ring_pack_u32(uint8_t *packed, const uint32_t *vector, size_t length, unsigned bits);
void secagg_ring_pack_u64(uint8_t *packed, const uint64_t *vector, size_t length, unsigned bits);

/* The inverse of pack. SECAGG_NOT_CANONICAL, and nothing written, if a padding bit is set.
 * The packed bytes need no alignment. */
int secagg_ring_unpack_u16(uint16_t *vector, const uint8_t *packed, size_t length, unsigned bits);
int secagg_ring_unpack_u32(uint32_t *vector, const uint8_t *packed, size_t length, unsigned bits);
int secagg_ring_unpack_u64(uint64_t *vector, const uint8_t *packed, size_t length, unsigned bits);

/* unpack of `count` vectors, all of them added to total instead of stored.
 * SECAGG_NOT_CANONICAL, and nothing added, if any has a padding bit set. */
int secagg_ring_sum_u16(uint16_t *total, const uint8_t *const *packed, size_t count,
                        size_t length, unsigned bits);
int secagg_ring_sum_u32(uint32_t *total, const uint8_t *const *packed, size_t count,
                        size_t length, unsigned bits);
int secagg_ring_sum_u64(uint64_t *total, const uint8_t *const *packed, size_t count,
                        size_t length, unsigned bits);

/* 1 if every element, as a number of `bits` bits in two's complement, lies in -bound..bound, and no
 * bit above is set; else 0. bound is public and less than 2^(bits-1). */
int secagg_ring_within_u16(const uint16_t *vector, size_t length, unsigned bits, uint64_t bound);
int secagg_ring_within_u32(const uint32_t *vector, size_t length, unsigned bits, uint64_t bound);
int secagg_ring_within_u64(const uint64_t *vector, size_t length, unsigned bits, uint64_t bound);

/* Masks: AES-CTR keystreams, added to a vector without being written to memory. */

/* One keystream: AES under `key`, counter block iv || big-endian 32-bit block index from 0. */
struct secagg_mask_stream {
    uint8_t key[32];  /* the first key_size bytes count */
    uint8_t iv[12];
    uint8_t key_size; /* 16 or 32: AES-128 or AES-256 */
    int8_t sign;      /* +1 adds the stream, -1 subtracts it */
    uint8_t unused[2];
};

/* total[i] += sum over the streams of sign * (element offset + i of the keystream, read as
 * little-endian lanes). Keys and values are secret; key sizes, signs, IVs and offset are public.
 *
 * SECAGG_UNAVAILABLE if secagg_cpu_has_masks() is 0; SECAGG_PARAMETER for another key size or
 * sign, or if the last element lies beyond 2^32 blocks of 16 bytes. Then total is unchanged. */
int secagg_mask_apply_u16(uint16_t *total, size_t length, uint64_t offset,
                          const struct secagg_mask_stream *streams, size_t count);
int secagg_mask_apply_u32(uint32_t *total, size_t length, uint64_t offset,
                          const struct secagg_mask_stream *streams, size_t count);
int secagg_mask_apply_u64(uint64_t *total, size_t length, uint64_t offset,
                          const struct secagg_mask_stream *streams, size_t count);

/* Packs vector with the streams added, as mask_apply and then pack do, with no vector in between.
 * Errors as mask_apply, for the part from which on the stream is too short: what is packed before
 * it stays. The checked caller never sees them. */
int secagg_mask_pack_u16(uint8_t *packed, const uint16_t *vector, size_t length, uint64_t offset,
                         unsigned bits, const struct secagg_mask_stream *streams, size_t count);
int secagg_mask_pack_u32(uint8_t *packed, const uint32_t *vector, size_t length, uint64_t offset,
                         unsigned bits, const struct secagg_mask_stream *streams, size_t count);
int secagg_mask_pack_u64(uint8_t *packed, const uint64_t *vector, size_t length, uint64_t offset,
                         unsigned bits, const struct secagg_mask_stream *streams, size_t count);

/* Ceilings, for `secagg speed` to measure. */

/* Writes `size` bytes of keystream, `passes` times over the same buffer. size is a multiple of
 * 256. SECAGG_UNAVAILABLE if secagg_cpu_has_masks() is 0, SECAGG_PARAMETER for another size or key
 * size, or more than a stream has. */
int secagg_speed_keystream(uint8_t *out, size_t size, size_t passes,
                           const struct secagg_mask_stream *stream);

/* Reads all whole blocks of 64 bytes and returns the sum of their words. */
uint64_t secagg_speed_read(const uint8_t *buffer, size_t size);

/* memcpy. */
void secagg_speed_copy(uint8_t *to, const uint8_t *from, size_t size);

/* Fixed point. */

/* Let q = clamp(values[i], -clip, clip) * scale, in double, and |q| = whole + part. out[i] is,
 * modulo 2^bits, q rounded half to even if randomness is NULL; else q's sign times whole, plus one
 * if randomness[i] is less than part * 2^16, rounded half to even. Both are exact.
 * clip and scale are positive, and ceil(clip * scale) < 2^(bits-1); no |out[i]|, as a signed
 * number, exceeds ceil(clip * scale).
 *
 * *report becomes the number of values with magnitude > clip. SECAGG_NOT_FINITE if a value is
 * infinite or NaN: then out is zero and *report the index of the first such value. */
int secagg_fixed_encode_u16(uint16_t *out, const float *values, const uint16_t *randomness,
                            size_t length, double clip, double scale, unsigned bits,
                            uint64_t *report);
int secagg_fixed_encode_u32(uint32_t *out, const float *values, const uint16_t *randomness,
                            size_t length, double clip, double scale, unsigned bits,
                            uint64_t *report);
int secagg_fixed_encode_u64(uint64_t *out, const float *values, const uint16_t *randomness,
                            size_t length, double clip, double scale, unsigned bits,
                            uint64_t *report);

/* How to encode: as above, with the randomness from one keystream and a mask from another. */
struct secagg_encoding {
    double clip;
    double scale;
    const struct secagg_mask_stream *rounding; /* or NULL: half to even */
    const struct secagg_mask_stream *mask;     /* or NULL: no mask */
    unsigned bits;
};

/* out[i] is as above, plus the mask's element in the lane, if there is one: then the bits above
 * `bits` may hold anything. values[0] is number `offset` of the vector, and takes the 16-bit word
 * of that number of `rounding` and the lane of that number of `mask`; both add (sign 1).
 *
 * SECAGG_UNAVAILABLE if there is a keystream and secagg_cpu_has_masks() is 0; SECAGG_PARAMETER as
 * for secagg_mask_apply; out is unchanged. SECAGG_NOT_FINITE as above. */
int secagg_fixed_encode_masked_u16(uint16_t *out, const float *values, size_t length,
                                   uint64_t offset, const struct secagg_encoding *encoding,
                                   uint64_t *report);
int secagg_fixed_encode_masked_u32(uint32_t *out, const float *values, size_t length,
                                   uint64_t offset, const struct secagg_encoding *encoding,
                                   uint64_t *report);
int secagg_fixed_encode_masked_u64(uint64_t *out, const float *values, size_t length,
                                   uint64_t offset, const struct secagg_encoding *encoding,
                                   uint64_t *report);

/* out[i] = the representative of vector[i] mod 2^bits in [-2^(bits-1), 2^(bits-1)). */
void secagg_fixed_center_u16(int64_t *out, const uint16_t *vector, size_t length, unsigned bits);
void secagg_fixed_center_u32(int64_t *out, const uint32_t *vector, size_t length, unsigned bits);
void secagg_fixed_center_u64(int64_t *out, const uint64_t *vector, size_t length, unsigned bits);

/* out[i] = that representative, rounded to a double, divided by divisor. */
void secagg_fixed_decode_u16(double *out, const uint16_t *vector, size_t length, unsigned bits,
                             double divisor);
void secagg_fixed_decode_u32(double *out, const uint32_t *vector, size_t length, unsigned bits,
                             double divisor);
void secagg_fixed_decode_u64(double *out, const uint64_t *vector, size_t length, unsigned bits,
                             double divisor);

/* Shamir secret sharing over the field of p = 2^61 - 1.
 *
 * A secret of 32 bytes is five little-endian limbs of 7, 7, 7, 7 and 4 bytes, each shared by a
 * polynomial of its own. Points are public, distinct and in 1..p-1. */

/* shares[(s * holders + h) * 5 + l] = P(points[h]), where P(0) is limb l of secret s and the
 * coefficient of x^(k+1) is coefficients[(s * 5 + l) * degree + k].
 * SECAGG_NOT_CANONICAL, and shares zero, if a coefficient is >= p. */
int secagg_shamir_split_m61(uint64_t *shares, const uint8_t *secrets, size_t count,
                            const uint64_t *coefficients, size_t degree, const uint64_t *points,
                            size_t holders);

/* lagrange[i] = prod over j != i of points[j] / (points[j] - points[i]): the weight of the share
 * at points[i] in the value at 0. SECAGG_PARAMETER, and lagrange zero, if a point is 0 or >= p
 * or occurs twice. In variable time: points are public. */
int secagg_shamir_lagrange_m61(uint64_t *lagrange, const uint64_t *points, size_t threshold);

/* secrets[32 * s ...] from shares[(s * threshold + i) * 5 + l] and lagrange[i] < p.
 * SECAGG_NOT_CANONICAL if a share is >= p, SECAGG_INCONSISTENT if a limb does not fit its bytes;
 * in both cases all secrets are zero. */
int secagg_shamir_combine_m61(uint8_t *secrets, const uint64_t *shares, size_t count,
                              const uint64_t *lagrange, size_t threshold);

/* [cdef end] */

#endif
