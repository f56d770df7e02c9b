/* The mask kernel with AES-NI: one block per register. Built with -maes -msse4.1. */
#include "mask/x86.h"

#define KERNEL secagg_mask_apply_aesni
#define KEYSTREAM secagg_mask_keystream_aesni
#define VEC_BLOCKS 1

typedef __m128i vec;

#define vec_load block_load
#define vec_store(place, value) _mm_storeu_si128((__m128i *)(void *)(place), value)
#define vec_broadcast(block) (block)
#define vec_block_numbers() _mm_setzero_si128()
#define vec_shuffle _mm_shuffle_epi8
#define vec_begin(block, key) _mm_xor_si128(block, key)
#define vec_round(state, before, key) ((void)(before), _mm_aesenc_si128(state, key))
#define vec_last_round(state, before, key) ((void)(before), _mm_aesenclast_si128(state, key))
#define vec_add_16 _mm_add_epi16
#define vec_add_32 _mm_add_epi32
#define vec_add_64 _mm_add_epi64
#define vec_sub_16 _mm_sub_epi16
#define vec_sub_32 _mm_sub_epi32
#define vec_sub_64 _mm_sub_epi64

#define ZERO(i) "pxor %%xmm" #i ", %%xmm" #i "\n\t"
#define vec_clear_registers()                                                                     \
    __asm__ __volatile__(                                                                         \
        ZERO(0) ZERO(1) ZERO(2) ZERO(3) ZERO(4) ZERO(5) ZERO(6) ZERO(7) ZERO(8) ZERO(9) ZERO(10)  \
            ZERO(11) ZERO(12) ZERO(13) ZERO(14) ZERO(15)                                          \
        :                                                                                         \
        :                                                                                         \
        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",         \
          "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

#include "mask/fused.h"
