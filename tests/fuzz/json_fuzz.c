/* libFuzzer: any bytes as a record between two good ones, at every vector width. The neighbours
 * must come through, the verdicts must agree, and what was taken must be taken again when written
 * back. */
#include "formats/json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char schema_text[] =
    "struct<a: string, i: int, l: long, x: double, f: float, d: decimal(18,4), b: boolean "
    "required, day: date, at: time, ts: timestamp, "
    "tz: timestamptz, u: uuid, bin: binary, fix: fixed(3), s: struct<p: int required, q: "
    "list<string required>>, "
    "ls: list<struct<m: string, v: double>>, m: map<string, long>, mm: map<int, map<string, "
    "list<boolean>>>>";
static const char neighbour[] = "{\"a\":\"n\",\"b\":true,\"ls\":[{\"m\":\"x\"}],\"m\":{\"k\":1}}";

#define WIDTHS 3

struct fuzz {
    struct weir_account account;
    struct weir_arena types, arena;
    struct weir_type schema;
    struct weir_json_decoder *decoders[WIDTHS];
};

static void check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "json_fuzz: %s\n", what);
        abort();
    }
}

static struct fuzz *fuzz_open(void)
{
    static const char *const levels[WIDTHS] = {"plain", "avx2", "avx512"};
    static struct fuzz fuzz;

    if (fuzz.decoders[0])
        return &fuzz;
    weir_account_init(&fuzz.account, NULL, "fuzz", (size_t)256 << 20);
    weir_arena_init(&fuzz.types, &fuzz.account);
    weir_arena_init(&fuzz.arena, &fuzz.account);
    check(weir_type_parse(&fuzz.types, schema_text, &fuzz.schema, NULL) == WEIR_OK, "schema");
    for (int i = 0; i < WIDTHS; i++) {
        setenv("WEIR_SIMD", levels[i], 1);
        check(weir_json_decoder_new(&fuzz.account, &fuzz.schema, NULL, &fuzz.decoders[i], NULL) ==
                  WEIR_OK,
              "decoder");
    }
    return &fuzz;
}

/* Rows and refusals as text. */
static void decode(struct fuzz *fuzz, int width, const uint8_t *data, size_t size,
                   struct weir_buffer *out)
{
    struct weir_bytes records[3] = {{(const uint8_t *)neighbour, sizeof neighbour - 1},
                                    {data, size},
                                    {(const uint8_t *)neighbour, sizeof neighbour - 1}};
    struct weir_decoded decoded;

    weir_arena_reset(&fuzz->arena);
    check(weir_json_decode(fuzz->decoders[width], records, 3, &fuzz->arena, &decoded, NULL) ==
              WEIR_OK,
          "decode failed");
    check(decoded.batch.count + decoded.refusal_count == 3, "a record was lost");
    check(decoded.source[0] == 0 && decoded.source[decoded.batch.count - 1] == 2,
          "a neighbour was lost");
    check(weir_json_write_rows(&decoded.batch, out, NULL) == WEIR_OK, "write");
    if (decoded.refusal_count > 0)
        check(weir_buffer_print(out, NULL, "%s %u %s", weir_reason_name(decoded.refusals[0].reason),
                                decoded.refusals[0].position,
                                decoded.refusals[0].message) == WEIR_OK,
              "print");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz *fuzz = fuzz_open();
    struct weir_buffer first = {.account = &fuzz->account}, other = {.account = &fuzz->account};
    struct weir_bytes record = {data, size};
    struct weir_type inferred;

    decode(fuzz, 0, data, size, &first);
    for (int width = 1; width < WIDTHS; width++) {
        weir_buffer_clear(&other);
        decode(fuzz, width, data, size, &other);
        check(first.size == other.size && memcmp(first.data, other.data, first.size) == 0,
              "widths differ");
    }
    const uint8_t *line = memchr(first.data, '\n', first.size);
    const uint8_t *second = line + 1,
                  *end = memchr(second, '\n', first.size - (size_t)(second - first.data));
    weir_buffer_clear(&other);
    decode(fuzz, 0, second, (size_t)(end - second),
           &other); /* the fuzzed row, or the neighbour after it */
    line = memchr(other.data, '\n', other.size);
    check((size_t)(end - second) < other.size - (size_t)(line + 1 - other.data) &&
              memcmp(line + 1, second, (size_t)(end - second)) == 0,
          "a written row reads back otherwise");
    weir_arena_reset(&fuzz->arena);
    if (weir_json_infer(&fuzz->arena, &record, 1, &inferred, NULL) == WEIR_OK)
        check(inferred.id == WEIR_STRUCT, "inferred no struct");
    weir_buffer_done(&first);
    weir_buffer_done(&other);
    return 0;
}
