/* The mask kernel with AES-NI: one block per register. Built with -maes -msse4.1. */
#include <immintrin.h>

#define KERNEL secagg_mask_apply_aesni
#define VEC_BLOCKS 1

typedef __m128i vec;

#define vec_load(place) _mm_loadu_si128((const __m128i *)(const void *)(place))
#define vec_store(place, value) _mm_storeu_si128((__m128i *)(void *)(place), value)
#define vec_broadcast(block) (block)
#define vec_block_numbers() _mm_setzero_si128()
#define vec_xor _mm_xor_si128
#define vec_shuffle _mm_shuffle_epi8
#define vec_round _mm_aesenc_si128
#define vec_last_round _mm_aesenclast_si128
#define vec_add_16 _mm_add_epi16
#define vec_add_32 _mm_add_epi32
#define vec_add_64 _mm_add_epi64
#define vec_sub_16 _mm_sub_epi16
#define vec_sub_32 _mm_sub_epi32
#define vec_sub_64 _mm_sub_epi64
#define vec_clear_registers() ((void)0)

#include "mask/fused.h"
