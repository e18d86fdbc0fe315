/* Types as Parquet has them: leaves with their levels, and the footer's flattened schema.
 * Specs: Iceberg "Appendix A: Format-specific Requirements, Parquet"; parquet-format
 * LogicalTypes.md. */
#include "formats/parquet/parquet_int.h"

#include "engine/base/limits.h"

#include <string.h>

/* parquet.thrift: FieldRepetitionType, ConvertedType, and the members of the union LogicalType */
enum { REPETITION_REQUIRED, REPETITION_OPTIONAL, REPETITION_REPEATED };
enum {
    CONVERTED_NONE = -1,
    CONVERTED_UTF8 = 0,
    CONVERTED_MAP = 1,
    CONVERTED_LIST = 3,
    CONVERTED_DECIMAL = 5,
    CONVERTED_DATE = 6,
    CONVERTED_TIME_MICROS = 8,
    CONVERTED_TIMESTAMP_MICROS = 10
};
enum {
    LOGICAL_STRING = 1,
    LOGICAL_MAP = 2,
    LOGICAL_LIST = 3,
    LOGICAL_DECIMAL = 5,
    LOGICAL_DATE = 6,
    LOGICAL_TIME = 7,
    LOGICAL_TIMESTAMP = 8,
    LOGICAL_UUID = 14
};

uint32_t parquet_decimal_width(unsigned precision)
{
    /* digits that fit in n bytes: floor(log10(2^(8n-1) - 1)) */
    static const uint8_t digits[] = {0, 2, 4, 6, 9, 11, 14, 16, 18, 21, 23, 26, 28, 31, 33, 35, 38};
    uint32_t width = 1;
    while (width < 16 && digits[width] < precision)
        width++;
    return width;
}

enum parquet_physical parquet_physical_of(const struct weir_type *type, uint32_t *ret_width)
{
    uint32_t width = weir_type_width(type);
    enum parquet_physical physical = PARQUET_FIXED;
    switch (type->id) {
    case WEIR_BOOLEAN:
        width = 1;
        physical = PARQUET_BOOLEAN;
        break;
    case WEIR_INT:
    case WEIR_DATE: physical = PARQUET_INT32; break;
    case WEIR_LONG:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: physical = PARQUET_INT64; break;
    case WEIR_FLOAT: physical = PARQUET_FLOAT; break;
    case WEIR_DOUBLE: physical = PARQUET_DOUBLE; break;
    case WEIR_STRING:
    case WEIR_BINARY: physical = PARQUET_BYTE_ARRAY; break;
    case WEIR_DECIMAL:
        physical = type->precision <= 9    ? PARQUET_INT32
                   : type->precision <= 18 ? PARQUET_INT64
                                           : PARQUET_FIXED;
        width = physical == PARQUET_INT32   ? 4
                : physical == PARQUET_INT64 ? 8
                                            : parquet_decimal_width(type->precision);
        break;
    default: break;
    }
    *ret_width = width;
    return physical;
}

uint32_t parquet_leaf_count(const struct weir_type *type)
{
    if (!weir_type_is_nested(type->id))
        return 1;
    uint32_t count = 0;
    for (uint32_t i = 0; i < type->child_count; i++)
        count += parquet_leaf_count(&type->children[i].type);
    return count;
}

/* The walk down to the leaves: names so far and levels so far. */
struct walk {
    struct weir_arena *arena;
    struct parquet_leaf *leaves;
    uint32_t leaf_count;
    const char *names[PARQUET_DEPTH_MAX];
    uint32_t depth;
    struct weir_error *reterr;
};

static weir_status walk_leaf(struct walk *walk, const struct weir_field *field, uint8_t definition,
                             uint8_t repetition)
{
    struct parquet_leaf *leaf = &walk->leaves[walk->leaf_count++];
    *leaf = (struct parquet_leaf){.type = &field->type,
                                  .field_id = field->id,
                                  .max_definition = definition,
                                  .max_repetition = repetition,
                                  .path_count = walk->depth};
    leaf->physical = parquet_physical_of(&field->type, &leaf->width);
    if (leaf->physical == PARQUET_FIXED && leaf->width == 0)
        return weir_fail(walk->reterr, WEIR_UNSUPPORTED,
                         "column %s: fixed(0) has no place in Parquet", field->name);
    WEIR_TRY(
        weir_arena_alloc(walk->arena, walk->depth * sizeof *leaf->path, &leaf->path, walk->reterr));
    memcpy(leaf->path, walk->names, walk->depth * sizeof *leaf->path);
    return WEIR_OK;
}

/* `as` is the name Parquet gives the node: Iceberg's "element", "key" and "value" whatever the
 * field is called. */
static weir_status walk_field(struct walk *walk, const struct weir_field *field, const char *as,
                              uint8_t definition, uint8_t repetition)
{
    const struct weir_type *type = &field->type;
    if (walk->depth + 2 >= PARQUET_DEPTH_MAX)
        return weir_fail(walk->reterr, WEIR_UNSUPPORTED, "column %s: nested deeper than %d", as,
                         WEIR_SCHEMA_DEPTH_MAX);
    walk->names[walk->depth++] = as;
    definition = (uint8_t)(definition + !field->required);
    weir_status status = WEIR_OK;
    if (!weir_type_is_nested(type->id)) {
        status = walk_leaf(walk, field, definition, repetition);
    } else if (type->id == WEIR_STRUCT) {
        if (type->child_count == 0)
            status = weir_fail(walk->reterr, WEIR_UNSUPPORTED,
                               "column %s: a struct without fields has no place in Parquet", as);
        for (uint32_t i = 0; i < type->child_count && status == WEIR_OK; i++)
            status = walk_field(walk, &type->children[i], type->children[i].name, definition,
                                repetition);
    } else {
        bool map = type->id == WEIR_MAP;
        walk->names[walk->depth++] = map ? "key_value" : "list";
        for (uint32_t i = 0; i < type->child_count && status == WEIR_OK; i++)
            status = walk_field(walk, &type->children[i],
                                !map     ? "element"
                                : i == 0 ? "key"
                                         : "value",
                                (uint8_t)(definition + 1), (uint8_t)(repetition + 1));
        walk->depth--;
    }
    walk->depth--;
    return status;
}

weir_status parquet_leaves_make(struct weir_arena *arena, const struct weir_type *schema,
                                struct parquet_leaf **ret_leaves, uint32_t *ret_count,
                                struct weir_error *reterr)
{
    struct walk walk = {.arena = arena, .reterr = reterr};
    uint32_t count = parquet_leaf_count(schema);
    if (schema->id != WEIR_STRUCT || count == 0)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "a table without columns has no place in Parquet");
    WEIR_TRY(weir_arena_zero(arena, count, sizeof *walk.leaves, &walk.leaves, reterr));
    for (uint32_t i = 0; i < schema->child_count; i++)
        WEIR_TRY(walk_field(&walk, &schema->children[i], schema->children[i].name, 0, 0));
    *ret_leaves = walk.leaves;
    *ret_count = count;
    return WEIR_OK;
}

/* ---- footer's schema
 * ------------------------------------------------------------------------------------------- */

static size_t element_count(const struct weir_type *type)
{
    size_t count = 1 + (type->id == WEIR_LIST || type->id == WEIR_MAP);
    for (uint32_t i = 0; i < type->child_count; i++)
        count += element_count(&type->children[i].type);
    return count;
}

static int converted_type(const struct weir_type *type)
{
    switch (type->id) {
    case WEIR_STRING: return CONVERTED_UTF8;
    case WEIR_DECIMAL: return CONVERTED_DECIMAL;
    case WEIR_DATE: return CONVERTED_DATE;
    case WEIR_LIST: return CONVERTED_LIST;
    case WEIR_MAP: return CONVERTED_MAP;
    /* TIME_MICROS and TIMESTAMP_MICROS mean "adjusted to UTC" to old readers: only timestamptz may
     * say so. */
    case WEIR_TIMESTAMPTZ: return CONVERTED_TIMESTAMP_MICROS;
    default: return CONVERTED_NONE;
    }
}

static void write_time_unit(struct thrift_writer *writer, bool adjusted)
{
    thrift_write_bool(writer, 1, adjusted);
    thrift_begin_struct(writer, 2); /* unit */
    thrift_begin_struct(writer, 2); /* MICROS */
    thrift_end_struct(writer);
    thrift_end_struct(writer);
}

static void write_logical_type(struct thrift_writer *writer, const struct weir_type *type)
{
    static const int8_t members[WEIR_TYPE_COUNT] = {
        [WEIR_STRING] = LOGICAL_STRING,       [WEIR_MAP] = LOGICAL_MAP,
        [WEIR_LIST] = LOGICAL_LIST,           [WEIR_DECIMAL] = LOGICAL_DECIMAL,
        [WEIR_DATE] = LOGICAL_DATE,           [WEIR_TIME] = LOGICAL_TIME,
        [WEIR_TIMESTAMP] = LOGICAL_TIMESTAMP, [WEIR_TIMESTAMPTZ] = LOGICAL_TIMESTAMP,
        [WEIR_UUID] = LOGICAL_UUID,
    };
    if (!members[type->id])
        return;
    thrift_begin_struct(writer, 10);
    thrift_begin_struct(writer, members[type->id]);
    if (type->id == WEIR_DECIMAL) {
        thrift_write_i32(writer, 1, type->scale);
        thrift_write_i32(writer, 2, type->precision);
    } else if (type->id == WEIR_TIME || type->id == WEIR_TIMESTAMP ||
               type->id == WEIR_TIMESTAMPTZ) {
        write_time_unit(writer, type->id == WEIR_TIMESTAMPTZ);
    }
    thrift_end_struct(writer);
    thrift_end_struct(writer);
}

static void write_group(struct thrift_writer *writer, const char *name, int repetition,
                        int32_t child_count)
{
    thrift_element_struct(writer);
    if (repetition >= 0)
        thrift_write_i32(writer, 3, repetition);
    thrift_write_text(writer, 4, name);
    thrift_write_i32(writer, 5, child_count);
    thrift_end_struct(writer);
}

static void write_field(struct thrift_writer *writer, const struct weir_field *field,
                        const char *as)
{
    const struct weir_type *type = &field->type;
    bool nested = weir_type_is_nested(type->id);
    uint32_t width;
    enum parquet_physical physical = parquet_physical_of(type, &width);
    thrift_element_struct(writer);
    if (!nested)
        thrift_write_i32(writer, 1, (int32_t)physical);
    if (!nested && physical == PARQUET_FIXED)
        thrift_write_i32(writer, 2, (int32_t)width);
    thrift_write_i32(writer, 3, field->required ? REPETITION_REQUIRED : REPETITION_OPTIONAL);
    thrift_write_text(writer, 4, as);
    if (nested)
        thrift_write_i32(writer, 5, type->id == WEIR_STRUCT ? (int32_t)type->child_count : 1);
    if (converted_type(type) != CONVERTED_NONE)
        thrift_write_i32(writer, 6, converted_type(type));
    if (type->id == WEIR_DECIMAL) {
        thrift_write_i32(writer, 7, type->scale);
        thrift_write_i32(writer, 8, type->precision);
    }
    thrift_write_i32(writer, 9, field->id);
    write_logical_type(writer, type);
    thrift_end_struct(writer);
    if (type->id == WEIR_STRUCT) {
        for (uint32_t i = 0; i < type->child_count; i++)
            write_field(writer, &type->children[i], type->children[i].name);
    } else if (nested) {
        bool map = type->id == WEIR_MAP;
        write_group(writer, map ? "key_value" : "list", REPETITION_REPEATED,
                    (int32_t)type->child_count);
        for (uint32_t i = 0; i < type->child_count; i++)
            write_field(writer, &type->children[i], !map ? "element" : i == 0 ? "key" : "value");
    }
}

void parquet_schema_write(struct thrift_writer *writer, int16_t id, const struct weir_type *schema)
{
    thrift_begin_list(writer, id, THRIFT_STRUCT, element_count(schema));
    write_group(writer, "table", -1, (int32_t)schema->child_count);
    for (uint32_t i = 0; i < schema->child_count; i++)
        write_field(writer, &schema->children[i], schema->children[i].name);
}
