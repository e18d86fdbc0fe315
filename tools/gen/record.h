/* What the generator makes: record i of a seed, the same whenever and wherever it is made.
 *
 * Shares no code with the engine that reads these records, so that an error there cannot hide here.
 */
#ifndef WEIR_TOOLS_GEN_RECORD_H
#define WEIR_TOOLS_GEN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define GEN_RECORD_SIZE_MAX (256u << 10) /* bytes; no shape comes near it */
#define GEN_DEVICES 100000u

enum gen_shape { GEN_INVENTORY, GEN_FLAT, GEN_WIDE, GEN_HOSTILE };

struct gen_options {
    uint64_t seed;
    enum gen_shape shape;
    unsigned bad, late, duplicates, tombstones; /* of a thousand */
};

struct gen_record {
    const char *value; /* in the text given; never holds a line feed */
    size_t size;
    char key[16];       /* NUL-terminated */
    uint64_t origin;    /* index whose record this repeats; its own index otherwise */
    bool tombstone;     /* no value at all */
    const char *reason; /* why a strict reader refuses it ("syntax|encoding": one of these), NULL
                           for a good one */
};

/* Text under construction; what does not fit is dropped and `full` says so. */
struct gen_text {
    char *data;
    size_t size, capacity;
    bool full;
};

void gen_record_make(const struct gen_options *options, uint64_t index, struct gen_text *text,
                     struct gen_record *ret_record);

/* -- for the shapes' sources
 * ------------------------------------------------------------------------ */

struct gen_draw {
    uint64_t state;
};

static inline uint64_t gen_next(struct gen_draw *draw) {
    draw->state += 0x9FB21C651E98DF25ull;
    unsigned __int128 product =
        (unsigned __int128)draw->state * (draw->state ^ 0xD6E8FEB86659FD93ull);
    return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

/* One independent run of numbers for each (seed, stream, index). */
static inline struct gen_draw gen_draw_at(uint64_t seed, uint64_t stream, uint64_t index) {
    struct gen_draw draw = {seed ^ (stream << 56)};
    draw.state = gen_next(&draw) ^ index * 0xA24BAED4963EE407ull;
    draw.state = gen_next(&draw);
    return draw;
}

static inline uint32_t gen_below(struct gen_draw *draw, uint32_t limit) {
    return (uint32_t)((gen_next(draw) >> 32) * limit >> 32);
}

static inline void gen_put(struct gen_text *text, const char *from, size_t size) {
    if (text->capacity - text->size < size) {
        text->full = true;
        return;
    }
    memcpy(text->data + text->size, from, size);
    text->size += size;
}

#define GEN_PUT(text, literal) gen_put(text, literal, sizeof(literal) - 1)
static inline void gen_put_text(struct gen_text *text, const char *from) {
    gen_put(text, from, strlen(from));
}
void gen_put_uint(struct gen_text *text, uint64_t value);
void gen_put_int(struct gen_text *text, int64_t value);
void gen_put_padded(struct gen_text *text, uint64_t value, unsigned digits);
void gen_put_scaled(struct gen_text *text, uint64_t value,
                    unsigned decimals); /* 12345, 2: 123.45 */
void gen_put_uuid(struct gen_text *text, struct gen_draw *draw);
void gen_put_date(struct gen_text *text, int64_t days);
/* Milliseconds since 1970 as ISO 8601; the offset moves the clock face, not the instant. */
void gen_put_time(struct gen_text *text, int64_t milliseconds, bool fraction, int offset_minutes);

/* The time of record `index`: 0.6 s apart, so that a million make a week, with a minute's jitter
 * and the late ones back. */
int64_t gen_record_time(const struct gen_options *options, uint64_t index, struct gen_draw *draw);

uint32_t gen_device(const struct gen_options *options, uint64_t index); /* below GEN_DEVICES */

enum gen_fault { GEN_GOOD, GEN_REQUIRED, GEN_TYPE, GEN_RANGE, GEN_CUT, GEN_BRACKET, GEN_FAULTS };

void gen_inventory(const struct gen_options *options, uint64_t index, enum gen_fault fault,
                   struct gen_text *text);
void gen_flat(const struct gen_options *options, uint64_t index, enum gen_fault fault,
              struct gen_text *text);
void gen_wide(const struct gen_options *options, uint64_t index, enum gen_fault fault,
              struct gen_text *text);
/* Good records that only a careful reader takes; with `bad`, records that none may take. Returns
 * the reason or NULL. */
const char *gen_hostile(const struct gen_options *options, uint64_t index, bool bad,
                        struct gen_text *text);

#endif
