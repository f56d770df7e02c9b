/* Floats to lanes with randomness and a mask from keystreams, at the level in use. */
#include "internal.h"

enum { TILE = 2048 }; /* values whose randomness and lanes stay in the first-level cache */

static int stream_fits(const struct secagg_mask_stream *stream, size_t length, uint64_t offset,
                       unsigned lane_bytes)
{
    const uint64_t limit = secagg_stream_bytes / lane_bytes;
    if (stream == NULL)
        return 1;
    return (stream->key_size == 16 || stream->key_size == 32) && stream->sign == 1 &&
           offset <= limit && length <= limit - offset;
}

static int encoding_fits(const struct secagg_encoding *encoding, size_t length, uint64_t offset,
                         unsigned lane_bytes)
{
    return stream_fits(encoding->rounding, length, offset, sizeof(uint16_t)) &&
           stream_fits(encoding->mask, length, offset, lane_bytes);
}

/* How many values from the first on the level's own kernel takes: whole batches whose keystreams
 * begin with a block, and magnitudes that 32 bits hold. */
static size_t batches(const struct secagg_kernels *level, const struct secagg_encoding *encoding,
                      size_t length, uint64_t offset)
{
    const uint64_t elements_per_block = 8; /* of the narrowest lane */
    if (level->encode == NULL || offset % elements_per_block != 0 ||
        encoding->clip * encoding->scale > INT32_MAX)
        return 0;
    return length / SECAGG_ENCODE_BATCH;
}

#define MASKED(name, lane)                                                                        \
    int secagg_fixed_encode_masked_##name(lane *restrict out, const float *restrict values,       \
                                          size_t length, uint64_t offset,                         \
                                          const struct secagg_encoding *encoding,                 \
                                          uint64_t *report)                                       \
    {                                                                                             \
        const struct secagg_kernels *level = secagg_level();                                      \
        uint16_t randomness[TILE];                                                                \
        uint64_t saturated = 0, found;                                                            \
        int status = SECAGG_OK;                                                                   \
        if ((encoding->rounding != NULL || encoding->mask != NULL) && level->mask_apply == NULL)  \
            return SECAGG_UNAVAILABLE;                                                            \
        if (!encoding_fits(encoding, length, offset, sizeof(lane)))                               \
            return SECAGG_PARAMETER;                                                              \
        size_t done = batches(level, encoding, length, offset) * SECAGG_ENCODE_BATCH;             \
        if (done != 0 &&                                                                          \
            verdict(level->encode((uint8_t *)out, values, done / SECAGG_ENCODE_BATCH, offset,     \
                                  sizeof(lane), encoding, &saturated)) != 0)                      \
            status = SECAGG_NOT_FINITE;                                                           \
        while (done < length && status == SECAGG_OK) {                                            \
            const size_t size = length - done < TILE ? length - done : TILE;                      \
            if (encoding->rounding != NULL) {                                                     \
                memset(randomness, 0, sizeof randomness);                                         \
                level->mask_apply((uint8_t *)randomness, size * sizeof *randomness,               \
                                  (offset + done) * sizeof *randomness, sizeof *randomness,       \
                                  encoding->rounding, 1);                                         \
            }                                                                                     \
            status = secagg_fixed_encode_##name(                                                  \
                out + done, values + done, encoding->rounding == NULL ? NULL : randomness, size,  \
                encoding->clip, encoding->scale, encoding->bits, &found);                         \
            saturated += found;                                                                   \
            if (encoding->mask != NULL && status == SECAGG_OK)                                    \
                level->mask_apply((uint8_t *)(out + done), size * sizeof(lane),                   \
                                  (offset + done) * sizeof(lane), sizeof(lane), encoding->mask,   \
                                  1);                                                             \
            done += size;                                                                         \
        }                                                                                         \
        wipe(randomness, sizeof randomness);                                                      \
        if (status == SECAGG_OK) {                                                                \
            *report = saturated;                                                                  \
            return SECAGG_OK;                                                                     \
        }                                                                                         \
        /* The general function zeroes its output and finds the first culprit. */                 \
        return secagg_fixed_encode_##name(out, values, NULL, length, encoding->clip,              \
                                          encoding->scale, encoding->bits, report);               \
    }

MASKED(u16, uint16_t)
MASKED(u32, uint32_t)
MASKED(u64, uint64_t)
