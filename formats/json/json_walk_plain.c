/* The walker in plain C: what every processor runs and what the others are compared with. */
#include "formats/json/json_int.h"

#include <string.h>

#define JSON_WALK_NAME json_walk_plain
#define JSON_BLOCK     8

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* The top bit of each byte of `word` that is zero; exact up to the first one, which is all that is
 * asked. */
static inline uint64_t zero_bytes(uint64_t word)
{
    return (word - ONES) & ~word & HIGHS;
}

/* Bit 7 of each byte that ends plain text. Bytes above 0x7F are never below 0x20 here: ~word keeps
 * them out. */
static inline uint64_t stop_bits(uint64_t word)
{
    return zero_bytes(word ^ ONES * '"') | zero_bytes(word ^ ONES * '\\') |
           ((word - ONES * 0x20) & ~word & HIGHS);
}

static inline const uint8_t *scan_stop(const uint8_t *at, bool *high)
{
    for (;;) {
        uint64_t word, stops;
        memcpy(&word, at, 8);
        stops = stop_bits(word);
        if (stops != 0) {
            unsigned size = (unsigned)__builtin_ctzll(stops) / 8;
            if (size > 0)
                *high |= (word << (64 - 8 * size) & HIGHS) != 0;
            return at + size;
        }
        *high |= (word & HIGHS) != 0;
        at += 8;
    }
}

static inline void scan_block(const uint8_t *at, uint8_t *out, uint64_t *ret_stops,
                              uint64_t *ret_highs)
{
    uint64_t word, stops;

    memcpy(&word, at, 8);
    memcpy(out, &word, 8);
    stops = stop_bits(word);
    *ret_highs = 0;
    *ret_stops = 0;
    if (stops != 0) {
        unsigned size = (unsigned)__builtin_ctzll(stops) / 8;
        *ret_stops = UINT64_C(1) << size;
        if (size > 0 && (word << (64 - 8 * size) & HIGHS) != 0)
            *ret_highs = 1;
        if (size == 0)
            *ret_highs = 0;
    }
}

#include "formats/json/json_walk_tmpl.h"
