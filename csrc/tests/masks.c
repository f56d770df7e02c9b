/*
 * Applies masks as it is told on standard input, so that another program can compare the lanes.
 *
 * As many requests as come, in the CPU's byte order:
 *
 *   struct request, `count` times struct secagg_mask_stream, `length` lanes of `lane_bytes`
 *
 * and back: the int32_t that secagg_mask_apply_uN, or the selection of the level, returned, then
 * the lanes as they are now. Ends with 0 after the last request, with 2 if one is cut short.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>

struct request {
    char level[16]; /* ends with a zero byte */
    uint64_t offset;
    uint64_t length;
    uint32_t lane_bytes; /* 2, 4 or 8 */
    uint32_t count;
};

_Static_assert(sizeof(struct request) == 40, "the caller packs it without gaps");
_Static_assert(sizeof(struct secagg_mask_stream) == 48, "the caller packs it without gaps");

static void *room(size_t size)
{
    void *buffer = malloc(size);
    if (buffer == NULL && size != 0)
        abort();
    return buffer;
}

static void read_all(void *buffer, size_t size)
{
    if (size != 0 && fread(buffer, 1, size, stdin) != size) {
        fprintf(stderr, "a request is cut short\n");
        exit(2);
    }
}

static int32_t apply(const struct request *request, void *total,
                     const struct secagg_mask_stream *streams)
{
    const size_t length = (size_t)request->length;
    if (secagg_cpu_select(request->level) != SECAGG_OK)
        return SECAGG_UNAVAILABLE;
    switch (request->lane_bytes) {
    case 2:
        return secagg_mask_apply_u16(total, length, request->offset, streams, request->count);
    case 4:
        return secagg_mask_apply_u32(total, length, request->offset, streams, request->count);
    case 8:
        return secagg_mask_apply_u64(total, length, request->offset, streams, request->count);
    default:
        fprintf(stderr, "no lanes have %u bytes\n", (unsigned)request->lane_bytes);
        exit(2);
    }
}

static void answer(const struct request *request)
{
    const size_t size = (size_t)request->length * request->lane_bytes;
    struct secagg_mask_stream *streams = room(request->count * sizeof *streams);
    /* One lane into the allocation: aligned for the lane, not for a register, and a sanitizer
     * sees the first byte past the end. */
    uint8_t *place = room(request->lane_bytes + size);
    uint8_t *total = place + request->lane_bytes;
    read_all(streams, request->count * sizeof *streams);
    read_all(total, size);
    const int32_t status = apply(request, total, streams);
    fwrite(&status, sizeof status, 1, stdout);
    fwrite(total, 1, size, stdout);
    free(place);
    free(streams);
}

int main(void)
{
    struct request request;
    for (;;) {
        const int first = fgetc(stdin);
        if (first == EOF)
            break;
        ungetc(first, stdin);
        read_all(&request, sizeof request);
        request.level[sizeof request.level - 1] = 0;
        answer(&request);
    }
    if (fflush(stdout) != 0) {
        perror("the answers could not be written");
        return 2;
    }
    return 0;
}
