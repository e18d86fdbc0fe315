/* A writer's schema as columns. */
#include "formats/avro/rows.h"

#include <string.h>

struct reading {
    struct weir_arena *arena;
    size_t fields;
    const struct weir_avro_type *open[WEIR_SCHEMA_DEPTH_MAX + 1]; /* records that are being read */
    int depth;
    struct weir_error *reterr;
};

/* *ret_has = false: no column can hold it. */
static weir_status read_type(struct reading *reading, const struct weir_avro_type *writer,
                             struct weir_type *ret_type, bool *ret_has);

static bool is_logical(const struct weir_avro_type *writer, const char *name)
{
    return strcmp(writer->logical_type, name) == 0;
}

static enum weir_type_id number_type(const struct weir_avro_type *writer)
{
    static const struct {
        enum weir_avro_kind kind;
        const char *logical;
        enum weir_type_id type;
    } logical[] = {{WEIR_AVRO_INT, "date", WEIR_DATE},
                   {WEIR_AVRO_INT, "time-millis", WEIR_TIME},
                   {WEIR_AVRO_LONG, "time-micros", WEIR_TIME},
                   {WEIR_AVRO_LONG, "timestamp-millis", WEIR_TIMESTAMPTZ},
                   {WEIR_AVRO_LONG, "timestamp-micros", WEIR_TIMESTAMPTZ},
                   {WEIR_AVRO_LONG, "timestamp-nanos", WEIR_TIMESTAMPTZ},
                   {WEIR_AVRO_LONG, "local-timestamp-millis", WEIR_TIMESTAMP},
                   {WEIR_AVRO_LONG, "local-timestamp-micros", WEIR_TIMESTAMP},
                   {WEIR_AVRO_LONG, "local-timestamp-nanos", WEIR_TIMESTAMP}};
    for (size_t i = 0; i < sizeof logical / sizeof *logical; i++)
        if (logical[i].kind == writer->kind && is_logical(writer, logical[i].logical))
            return logical[i].type;
    return writer->kind == WEIR_AVRO_INT ? WEIR_INT : WEIR_LONG;
}

static struct weir_type bytes_type(const struct weir_avro_type *writer)
{
    bool is_fixed = writer->kind == WEIR_AVRO_FIXED;
    if (is_logical(writer, "decimal") && writer->precision >= 1 && writer->precision <= 38 &&
        writer->scale >= 0 && writer->scale <= writer->precision)
        return (struct weir_type){.id = WEIR_DECIMAL,
                                  .precision = (uint8_t)writer->precision,
                                  .scale = (uint8_t)writer->scale};
    if (is_fixed && is_logical(writer, "uuid") && writer->size == 16)
        return (struct weir_type){.id = WEIR_UUID};
    if (is_fixed && writer->size >= 1 && writer->size <= WEIR_FIXED_SIZE_MAX)
        return (struct weir_type){.id = WEIR_FIXED, .length = (uint32_t)writer->size};
    return (struct weir_type){.id = WEIR_BINARY};
}

static weir_status read_record(struct reading *reading, const struct weir_avro_type *writer,
                               struct weir_type *ret_type, bool *ret_has)
{
    struct weir_type type = {.id = WEIR_STRUCT};
    *ret_has = false;
    for (int i = 0; i < reading->depth; i++)
        if (reading->open[i] == writer)
            return WEIR_OK;
    if (reading->depth >= WEIR_SCHEMA_DEPTH_MAX)
        return WEIR_OK;
    reading->open[reading->depth++] = writer;
    WEIR_TRY(weir_arena_zero(reading->arena, writer->field_count + 1, sizeof *type.children,
                             &type.children, reading->reterr));
    for (size_t i = 0; i < writer->field_count; i++) {
        struct weir_field *field = &type.children[type.child_count];
        bool has;
        WEIR_TRY(read_type(reading, writer->fields[i].type, &field->type, &has));
        field->name = writer->fields[i].name;
        type.child_count += has;
    }
    reading->depth--;
    *ret_has = type.child_count > 0;
    *ret_type = type;
    return WEIR_OK;
}

static weir_status read_items(struct reading *reading, const struct weir_avro_type *writer,
                              struct weir_type *ret_type, bool *ret_has)
{
    bool is_map = writer->kind == WEIR_AVRO_MAP;
    struct weir_type type = {.id = is_map ? WEIR_MAP : WEIR_LIST, .child_count = is_map ? 2 : 1};
    WEIR_TRY(
        weir_arena_zero(reading->arena, 2, sizeof *type.children, &type.children, reading->reterr));
    struct weir_field *item = &type.children[is_map];
    if (is_map)
        type.children[0] = (struct weir_field){
            .name = "key", .required = true, .type = {.id = WEIR_STRING}};
    item->name = is_map ? "value" : "element";
    WEIR_TRY(read_type(reading, writer->fields[0].type, &item->type, ret_has));
    *ret_type = type;
    return WEIR_OK;
}

/* Null and one type; or numbers, that one type holds. */
static weir_status read_union(struct reading *reading, const struct weir_avro_type *writer,
                              struct weir_type *ret_type, bool *ret_has)
{
    struct weir_type type = {0};
    bool has = false;
    for (size_t i = 0; i < writer->field_count; i++) {
        struct weir_type branch;
        bool fits;
        if (writer->fields[i].type->kind == WEIR_AVRO_NULL)
            continue;
        WEIR_TRY(read_type(reading, writer->fields[i].type, &branch, &fits));
        bool numbers = has && fits && type.id <= WEIR_DOUBLE && type.id >= WEIR_INT &&
                       branch.id <= WEIR_DOUBLE && branch.id >= WEIR_INT;
        if (!fits || (has && !numbers && !weir_type_equal(&type, &branch, false))) {
            *ret_has = false;
            return WEIR_OK;
        }
        if (numbers && type.id != branch.id)
            type.id = type.id <= WEIR_LONG && branch.id <= WEIR_LONG ? WEIR_LONG : WEIR_DOUBLE;
        else
            type = branch;
        has = true;
    }
    *ret_type = type;
    *ret_has = has;
    return WEIR_OK;
}

static weir_status read_type(struct reading *reading, const struct weir_avro_type *writer,
                             struct weir_type *ret_type, bool *ret_has)
{
    *ret_has = ++reading->fields <= WEIR_SCHEMA_FIELDS_MAX;
    if (!*ret_has)
        return WEIR_OK;
    switch (writer->kind) {
    case WEIR_AVRO_BOOLEAN: *ret_type = (struct weir_type){.id = WEIR_BOOLEAN}; break;
    case WEIR_AVRO_INT:
    case WEIR_AVRO_LONG: *ret_type = (struct weir_type){.id = number_type(writer)}; break;
    case WEIR_AVRO_FLOAT: *ret_type = (struct weir_type){.id = WEIR_FLOAT}; break;
    case WEIR_AVRO_DOUBLE: *ret_type = (struct weir_type){.id = WEIR_DOUBLE}; break;
    case WEIR_AVRO_STRING:
        *ret_type = (struct weir_type){.id = is_logical(writer, "uuid") ? WEIR_UUID : WEIR_STRING};
        break;
    case WEIR_AVRO_ENUM: *ret_type = (struct weir_type){.id = WEIR_STRING}; break;
    case WEIR_AVRO_BYTES:
    case WEIR_AVRO_FIXED: *ret_type = bytes_type(writer); break;
    case WEIR_AVRO_ARRAY:
    case WEIR_AVRO_MAP: return read_items(reading, writer, ret_type, ret_has);
    case WEIR_AVRO_RECORD: return read_record(reading, writer, ret_type, ret_has);
    case WEIR_AVRO_UNION: return read_union(reading, writer, ret_type, ret_has);
    case WEIR_AVRO_NULL:
    case WEIR_AVRO_KIND_COUNT: *ret_has = false; break;
    }
    return WEIR_OK;
}

weir_status weir_avro_columns(struct weir_arena *arena, const struct weir_avro_type *writer,
                              struct weir_type *ret_type, struct weir_error *reterr)
{
    struct reading reading = {.arena = arena, .reterr = reterr};
    struct weir_type type;
    bool has;
    WEIR_TRY(read_type(&reading, writer, &type, &has));
    *ret_type = has && type.id == WEIR_STRUCT ? type : (struct weir_type){.id = WEIR_STRUCT};
    return WEIR_OK;
}
