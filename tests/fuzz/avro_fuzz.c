/* libFuzzer: any bytes as an Avro schema, a NUL, and a record of it; as a record of schemas that
 * have every type; as a container file. Records are neither lost nor made up. */
#include "formats/avro/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "avro_fuzz: %s\n", what);
        abort();
    }
}

static const char columns[] =
    "struct<a:boolean, b:int, c:long, d:float, e:double, f:decimal(12,3), g:date, h:time, "
    "i:timestamp, j:timestamptz, k:string, l:uuid, m:fixed(3), n:binary, o:list<long>, "
    "p:map<string, struct<x:int, y:list<string>>>, q:struct<x:double, z:struct<w:string>>>";

static const char *const schemas[] = {
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"boolean\"},"
    "{\"name\":\"b\",\"type\":[\"null\",\"int\"]},{\"name\":\"c\",\"type\":\"int\"},"
    "{\"name\":\"f\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,"
    "\"scale\":2}},{\"name\":\"j\",\"type\":{\"type\":\"long\",\"logicalType\":"
    "\"timestamp-nanos\"}},{\"name\":\"k\",\"type\":\"string\"},{\"name\":\"o\",\"type\":"
    "{\"type\":\"array\",\"items\":\"int\"}},{\"name\":\"p\",\"type\":{\"type\":\"map\","
    "\"values\":{\"type\":\"record\",\"name\":\"s\",\"fields\":[{\"name\":\"y\",\"type\":"
    "{\"type\":\"array\",\"items\":\"bytes\"}}]}}}]}",
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"d\",\"type\":\"long\"},"
    "{\"name\":\"e\",\"type\":\"float\"},{\"name\":\"g\",\"type\":\"string\"},{\"name\":\"h\","
    "\"type\":{\"type\":\"int\",\"logicalType\":\"time-millis\"}},{\"name\":\"l\",\"type\":"
    "\"string\"},{\"name\":\"m\",\"type\":\"bytes\"},{\"name\":\"n\",\"type\":\"string\"},"
    "{\"name\":\"u\",\"type\":[\"null\",\"r\"]},{\"name\":\"q\",\"type\":[\"null\",{\"type\":"
    "\"record\",\"name\":\"q\",\"fields\":[{\"name\":\"z\",\"type\":[\"null\",\"q\"]},{\"name\":"
    "\"x\",\"type\":\"long\"}]}]}]}"};

static void decode(struct weir_account *account, struct weir_arena *arena,
                   const struct weir_avro_type *writer, const uint8_t *data, size_t size)
{
    static const struct weir_avro_plan_options options;
    struct weir_type type;
    struct weir_avro_plan *plan;
    struct weir_avro_rows *rows;
    struct weir_decoded decoded;
    int32_t last = 0;
    check(weir_type_parse(arena, columns, &type, NULL) == WEIR_OK, "columns");
    weir_type_assign_ids(&type, &last);
    if (weir_avro_plan_make(arena, writer, &type, &options, &plan, NULL) != WEIR_OK)
        return;
    check(weir_avro_rows_new(account, &type, &rows, NULL) == WEIR_OK, "no decoder");
    struct weir_avro_record records[3] = {
        {plan, {data, size}}, {plan, {data, size / 2}}, {plan, {data, size}}};
    check(weir_avro_rows_decode(rows, records, 3, arena, &decoded, NULL) == WEIR_OK, "failed");
    check(decoded.batch.count + decoded.refusal_count == 3, "records are lost");
    for (uint32_t c = 0; c < type.child_count; c++)
        check(decoded.batch.columns[c].count == decoded.batch.count, "columns differ");
    size_t end = 0;
    bool whole = weir_avro_step(writer, data, size, &end, NULL) == WEIR_OK && end == size;
    bool first = decoded.batch.count && decoded.source[0] == 0;
    check(!first || whole, "a row of what has no end there");
    weir_avro_rows_free(rows);
}

static void container(struct weir_account *account, struct weir_arena *arena, const uint8_t *data,
                      size_t size)
{
    struct weir_avro_blocks *blocks;
    struct weir_bytes values;
    struct weir_avro_type *writer;
    uint64_t count;
    size_t at, used;
    if (weir_avro_blocks_open(account, data, size, true, &blocks, &at, NULL) != WEIR_OK)
        return;
    struct weir_bytes schema = weir_avro_blocks_schema(blocks);
    if (weir_avro_schema_parse(arena, (const char *)schema.data, schema.size, &writer, NULL) ==
        WEIR_OK)
        while (at < size && weir_avro_blocks_next(blocks, data + at, size - at, true, &values,
                                                  &count, &used, NULL) == WEIR_OK) {
            decode(account, arena, writer, values.data, values.size);
            at += used;
        }
    weir_avro_blocks_free(blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_account account;
    struct weir_arena arena;
    struct weir_avro_type *writer;
    struct weir_type type;
    weir_account_init(&account, NULL, "fuzz", 0);
    weir_arena_init(&arena, &account);
    const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
    if (end && weir_avro_schema_parse(&arena, (const char *)data, (size_t)(end - data), &writer,
                                      NULL) == WEIR_OK) {
        check(weir_avro_columns(&arena, writer, &type, NULL) == WEIR_OK, "columns of a schema");
        decode(&account, &arena, writer, end + 1, size - (size_t)(end - data) - 1);
    }
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        check(weir_avro_schema_parse(&arena, schemas[i], strlen(schemas[i]), &writer, NULL) ==
                  WEIR_OK,
              "schema");
        decode(&account, &arena, writer, data, size);
    }
    container(&account, &arena, data, size);
    weir_arena_done(&arena);
    check(atomic_load(&account.used) == 0, "memory is left");
    return 0;
}
