/* Masked vectors straight to the wire: copied, masked and packed tile by tile, in the cache. */
#include "internal.h"

enum { TILE_BYTES = 32 * 1024 };

#define MASK_PACK(name, lane)                                                                     \
    int secagg_mask_pack_##name(uint8_t *restrict packed, const lane *restrict vector,            \
                                size_t length, uint64_t offset, unsigned bits,                    \
                                const struct secagg_mask_stream *streams, size_t count)           \
    {                                                                                             \
        enum { TILE = TILE_BYTES / sizeof(lane) };                                                \
        lane lanes[TILE];                                                                         \
        int status = SECAGG_OK;                                                                   \
        for (size_t done = 0; done < length && status == SECAGG_OK; done += TILE) {               \
            const size_t size = length - done < TILE ? length - done : TILE;                      \
            memcpy(lanes, vector + done, size * sizeof *lanes);                                   \
            status = secagg_mask_apply_##name(lanes, size, offset + done, streams, count);        \
            if (status == SECAGG_OK)                                                              \
                secagg_ring_pack_##name(packed, lanes, size, bits);                               \
            packed += TILE / 8 * bits; /* exact: a tile fills whole bytes */                      \
        }                                                                                         \
        wipe(lanes, sizeof lanes);                                                                \
        return status;                                                                            \
    }

MASK_PACK(u16, uint16_t)
MASK_PACK(u32, uint32_t)
MASK_PACK(u64, uint64_t)
