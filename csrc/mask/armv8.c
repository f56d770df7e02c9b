/* The mask kernel with the AES instructions of ARMv8: one block per register. Built with
 * -march=armv8-a+crypto. */
#include <arm_neon.h>
#include <stdint.h>

#define KERNEL secagg_mask_apply_armv8
#define KEYSTREAM secagg_mask_keystream_armv8
#define VEC_BLOCKS 1

typedef uint8x16_t aes_block;
typedef uint8x16_t vec;

#define block_load(place) vld1q_u8((const uint8_t *)(place))
#define block_xor veorq_u8
#define block_shift(key, bytes) vextq_u8(vdupq_n_u8(0), key, 16 - (bytes))

/* SubBytes of four equal words: AESE with a zero key, whose ShiftRows then changes nothing. */
static inline aes_block block_substitute(aes_block words)
{
    return vaeseq_u8(words, vdupq_n_u8(0));
}

static inline aes_block block_sub_word(aes_block key)
{
    return block_substitute(
        vreinterpretq_u8_u32(vdupq_laneq_u32(vreinterpretq_u32_u8(key), 3)));
}

static inline aes_block block_rotated_sub_word(aes_block key, uint32_t constant)
{
    static const uint8_t rotated_w3[16] = {13, 14, 15, 12, 13, 14, 15, 12,
                                           13, 14, 15, 12, 13, 14, 15, 12};
    return veorq_u8(block_substitute(vqtbl1q_u8(key, vld1q_u8(rotated_w3))),
                    vreinterpretq_u8_u32(vdupq_n_u32(constant)));
}

#define vec_load block_load
#define vec_store(place, value) vst1q_u8(place, value)
#define vec_broadcast(block) (block)
#define vec_block_numbers() vdupq_n_u8(0)
#define vec_shuffle vqtbl1q_u8
#define vec_begin(block, key) ((void)(key), (block))
#define vec_round(state, before, key) ((void)(key), vaesmcq_u8(vaeseq_u8(state, before)))
#define vec_last_round(state, before, key) veorq_u8(vaeseq_u8(state, before), key)

#define LANES(operation, bits, a, b)                                                              \
    vreinterpretq_u8_u##bits(                                                                     \
        operation##_u##bits(vreinterpretq_u##bits##_u8(a), vreinterpretq_u##bits##_u8(b)))
#define vec_add_16(a, b) LANES(vaddq, 16, a, b)
#define vec_add_32(a, b) LANES(vaddq, 32, a, b)
#define vec_add_64(a, b) LANES(vaddq, 64, a, b)
#define vec_sub_16(a, b) LANES(vsubq, 16, a, b)
#define vec_sub_32(a, b) LANES(vsubq, 32, a, b)
#define vec_sub_64(a, b) LANES(vsubq, 64, a, b)

/* The caller's halves of v8 to v15 come back from the stack afterwards. */
#define ZERO(i) "movi v" #i ".2d, #0\n\t"
#define vec_clear_registers()                                                                     \
    __asm__ __volatile__(                                                                         \
        ZERO(0) ZERO(1) ZERO(2) ZERO(3) ZERO(4) ZERO(5) ZERO(6) ZERO(7) ZERO(8) ZERO(9) ZERO(10)  \
            ZERO(11) ZERO(12) ZERO(13) ZERO(14) ZERO(15) ZERO(16) ZERO(17) ZERO(18) ZERO(19)      \
                ZERO(20) ZERO(21) ZERO(22) ZERO(23) ZERO(24) ZERO(25) ZERO(26) ZERO(27) ZERO(28)  \
                    ZERO(29) ZERO(30) ZERO(31)                                                    \
        :                                                                                         \
        :                                                                                         \
        : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", \
          "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",     \
          "v26", "v27", "v28", "v29", "v30", "v31")

#include "mask/fused.h"
