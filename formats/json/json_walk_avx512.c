/* The walker with 64-byte vectors, whose comparisons give bit masks at once. Needs AVX-512 BW and
 * VL. */
#include "formats/json/json_int.h"

#include <immintrin.h>
#include <string.h>

#define JSON_WALK_NAME json_walk_avx512
#define JSON_BLOCK     64

static inline uint64_t stop_mask(__m512i text)
{
    return _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8('"')) |
           _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8('\\')) |
           _mm512_cmplt_epu8_mask(text, _mm512_set1_epi8(0x20));
}

static inline const uint8_t *scan_stop(const uint8_t *at, bool *high)
{
    for (;;) {
        __m512i text = _mm512_loadu_si512(at);
        uint64_t stops = stop_mask(text), highs = _mm512_movepi8_mask(text);
        if (stops != 0) {
            *high |= (highs & ((stops & -stops) - 1)) != 0;
            return at + __builtin_ctzll(stops);
        }
        *high |= highs != 0;
        at += 64;
    }
}

static inline void scan_block(const uint8_t *at, uint8_t *out, uint64_t *ret_stops,
                              uint64_t *ret_highs)
{
    __m512i text = _mm512_loadu_si512(at);

    _mm512_storeu_si512(out, text);
    *ret_stops = stop_mask(text);
    *ret_highs = _mm512_movepi8_mask(text);
}

#include "formats/json/json_walk_tmpl.h"
