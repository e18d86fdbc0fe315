/* For the JSON tests: one decoder and what it made, shown as text that tables can hold. */
#ifndef WEIR_TESTS_UNIT_JSON_JSON_HELP_H
#define WEIR_TESTS_UNIT_JSON_JSON_HELP_H

#include "formats/json/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct bench {
    struct weir_account account;
    struct weir_arena types, arena;
    struct weir_type schema;
    struct weir_json_decoder *decoder;
    struct weir_decoded decoded;
    struct weir_buffer text;
};

static inline void bench_open(struct bench *bench, const char *type,
                              const struct weir_json_options *options)
{
    struct weir_error error = {0};
    int32_t last = 0;

    memset(bench, 0, sizeof *bench);
    weir_account_init(&bench->account, NULL, "test", 0);
    weir_arena_init(&bench->types, &bench->account);
    weir_arena_init(&bench->arena, &bench->account);
    weir_buffer_init(&bench->text, &bench->account);
    cr_assert_eq(weir_type_parse(&bench->types, type, &bench->schema, &error), WEIR_OK, "%s: %s",
                 type, error.text);
    weir_type_assign_ids(&bench->schema, &last);
    cr_assert_eq(
        weir_json_decoder_new(&bench->account, &bench->schema, options, &bench->decoder, &error),
        WEIR_OK, "%s", error.text);
}

static inline void bench_close(struct bench *bench)
{
    weir_json_decoder_free(bench->decoder);
    weir_buffer_done(&bench->text);
    weir_arena_done(&bench->arena);
    weir_arena_done(&bench->types);
    cr_assert_eq(bench->account.used, 0, "%zu bytes left", (size_t)bench->account.used);
}

static inline void bench_decode(struct bench *bench, const struct weir_bytes *records,
                                uint32_t count)
{
    struct weir_error error = {0};

    weir_arena_reset(&bench->arena);
    weir_buffer_clear(&bench->text);
    cr_assert_eq(
        weir_json_decode(bench->decoder, records, count, &bench->arena, &bench->decoded, &error),
        WEIR_OK, "%s", error.text);
    cr_assert_eq(bench->decoded.batch.count + bench->decoded.refusal_count, count);
    cr_assert_eq(weir_json_write_rows(&bench->decoded.batch, &bench->text, &error), WEIR_OK, "%s",
                 error.text);
    if (bench->text.size == 0)
        cr_assert_eq(weir_buffer_append(&bench->text, "", 0, NULL), WEIR_OK);
    bench->text.data[bench->text.size > 0 ? bench->text.size - 1 : 0] = '\0'; /* the last newline */
}

/* A copy in a block of its own size, so that ASan sees each byte read behind the record. */
static inline struct weir_bytes exact_copy(const void *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    memcpy(copy, data, size);
    return (struct weir_bytes){.data = copy, .size = size};
}

/* Decodes one record; text and decoded are filled. */
static inline void bench_one(struct bench *bench, const void *data, size_t size)
{
    struct weir_bytes record = exact_copy(data, size);

    bench_decode(bench, &record, 1);
    free((void *)record.data);
}

#endif
