/* The whole test harness: a check that counts its failures, and inputs that show swapped parts. */
#ifndef SECAGG_TESTS_CHECK_H
#define SECAGG_TESTS_CHECK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int failures = 0;

#define CHECK(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            failures++;                                                                           \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);               \
        }                                                                                         \
    } while (0)

/* Exactly `size` bytes on the heap, so that a sanitizer sees the first byte too many. The pattern
 * has the prime period 251: no power of two of bytes can be swapped unnoticed. */
static inline void *filled(size_t size)
{
    uint8_t *buffer = malloc(size);
    if (buffer == NULL && size != 0)
        abort();
    for (size_t i = 0; i < size; i++)
        buffer[i] = (uint8_t)(i % 251 + 1);
    return buffer;
}

#endif
