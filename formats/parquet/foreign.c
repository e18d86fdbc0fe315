/* The footer's schema as Weir's types, whoever wrote it: logical types, the converted types before
 * them, and the shapes that lists and maps had over the years. Spec: LogicalTypes.md. */
#include "formats/parquet/scan_int.h"

#include "engine/base/limits.h"

#include <string.h>

/* parquet.thrift: LogicalType's members and ConvertedType's values that matter here. */
enum {
    LOGICAL_STRING = 1,
    LOGICAL_MAP = 2,
    LOGICAL_LIST = 3,
    LOGICAL_ENUM = 4,
    LOGICAL_DECIMAL = 5,
    LOGICAL_DATE = 6,
    LOGICAL_TIME = 7,
    LOGICAL_TIMESTAMP = 8,
    LOGICAL_INTEGER = 10,
    LOGICAL_JSON = 12,
    LOGICAL_UUID = 14,
    LOGICAL_FLOAT16 = 15
};
enum {
    CONVERTED_UTF8 = 0,
    CONVERTED_MAP = 1,
    CONVERTED_MAP_KEY_VALUE = 2,
    CONVERTED_LIST = 3,
    CONVERTED_ENUM = 4,
    CONVERTED_DECIMAL = 5,
    CONVERTED_DATE = 6,
    CONVERTED_TIME_MILLIS = 7,
    CONVERTED_TIME_MICROS = 8,
    CONVERTED_TIMESTAMP_MILLIS = 9,
    CONVERTED_TIMESTAMP_MICROS = 10,
    CONVERTED_UINT_32 = 13,
    CONVERTED_UINT_64 = 14,
    CONVERTED_JSON = 19
};
enum { UNIT_MILLIS = 1, UNIT_MICROS = 2, UNIT_NANOS = 3 };

/* ---- leaves
 * ---------------------------------------------------------------------------------------------- */

static bool is_decimal(const struct file_node *node)
{
    return node->logical == LOGICAL_DECIMAL ||
           (node->logical == 0 && node->converted == CONVERTED_DECIMAL);
}

static bool is_half(const struct file_node *node)
{
    return node->logical == LOGICAL_FLOAT16 && node->physical == PARQUET_FIXED &&
           node->type_length == 2;
}

static bool is_unsigned(const struct file_node *node)
{
    if (node->logical == LOGICAL_INTEGER)
        return node->integer_unsigned &&
               node->integer_width == (node->physical == PARQUET_INT32 ? 32 : 64);
    return node->logical == 0 &&
           node->converted ==
               (node->physical == PARQUET_INT32 ? CONVERTED_UINT_32 : CONVERTED_UINT_64);
}

static int unit_of(const struct file_node *node)
{
    if (node->time_unit)
        return node->time_unit;
    return node->converted == CONVERTED_TIME_MILLIS || node->converted == CONVERTED_TIMESTAMP_MILLIS
               ? UNIT_MILLIS
               : UNIT_MICROS;
}

static bool is_time(const struct file_node *node)
{
    return node->logical == LOGICAL_TIME ||
           (node->logical == 0 &&
            (node->converted == CONVERTED_TIME_MILLIS || node->converted == CONVERTED_TIME_MICROS));
}

static bool is_timestamp(const struct file_node *node)
{
    return node->logical == LOGICAL_TIMESTAMP ||
           (node->logical == 0 && (node->converted == CONVERTED_TIMESTAMP_MILLIS ||
                                   node->converted == CONVERTED_TIMESTAMP_MICROS));
}

static bool is_date(const struct file_node *node)
{
    return node->physical == PARQUET_INT32 &&
           (node->logical == LOGICAL_DATE ||
            (node->logical == 0 && node->converted == CONVERTED_DATE));
}

static bool is_text(const struct file_node *node)
{
    return node->logical == LOGICAL_STRING || node->logical == LOGICAL_ENUM ||
           node->logical == LOGICAL_JSON ||
           (node->logical == 0 &&
            (node->converted == CONVERTED_UTF8 || node->converted == CONVERTED_ENUM ||
             node->converted == CONVERTED_JSON));
}

static weir_status decimal_type(const struct file_node *node, struct weir_type *type,
                                struct weir_error *reterr)
{
    if (node->precision < 1 || node->precision > 38 || node->scale < 0 ||
        node->scale > node->precision)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "column %.*s: decimal(%d,%d)",
                         (int)(node->name.size > 255 ? 255 : node->name.size),
                         (const char *)node->name.data, node->precision, node->scale);
    *type = (struct weir_type){
        .id = WEIR_DECIMAL, .precision = (uint8_t)node->precision, .scale = (uint8_t)node->scale};
    return WEIR_OK;
}

static struct weir_type integer_type(const struct file_node *node)
{
    if (is_time(node))
        return (struct weir_type){.id = WEIR_TIME};
    if (node->physical == PARQUET_INT32)
        return (struct weir_type){.id = is_date(node)       ? WEIR_DATE
                                        : is_unsigned(node) ? WEIR_LONG
                                                            : WEIR_INT};
    if (is_timestamp(node)) /* the old annotation means instants */
        return (struct weir_type){
            .id = node->logical == 0 || node->adjusted_to_utc ? WEIR_TIMESTAMPTZ : WEIR_TIMESTAMP};
    if (is_unsigned(node))
        return (struct weir_type){.id = WEIR_DECIMAL, .precision = 20};
    return (struct weir_type){.id = WEIR_LONG};
}

static weir_status leaf_type(const struct file_node *node, struct weir_type *type,
                             struct weir_error *reterr)
{
    *type = (struct weir_type){0};
    switch (node->physical) {
    case PARQUET_BOOLEAN: type->id = WEIR_BOOLEAN; return WEIR_OK;
    case PARQUET_INT96: type->id = WEIR_TIMESTAMPTZ; return WEIR_OK;
    case PARQUET_FLOAT: type->id = WEIR_FLOAT; return WEIR_OK;
    case PARQUET_DOUBLE: type->id = WEIR_DOUBLE; return WEIR_OK;
    default: break;
    }
    if (is_decimal(node))
        return decimal_type(node, type, reterr);
    if (node->physical == PARQUET_INT32 || node->physical == PARQUET_INT64) {
        *type = integer_type(node);
    } else if (node->physical == PARQUET_BYTE_ARRAY) {
        type->id = is_text(node) ? WEIR_STRING : WEIR_BINARY;
    } else if (is_half(node)) {
        type->id = WEIR_FLOAT;
    } else if (node->logical == LOGICAL_UUID && node->type_length == 16) {
        type->id = WEIR_UUID;
    } else {
        type->id = WEIR_FIXED;
        type->length = (uint32_t)node->type_length;
    }
    return WEIR_OK;
}

uint32_t parquet_stored_width(const struct file_node *node)
{
    switch (node->physical) {
    case PARQUET_BOOLEAN: return 1;
    case PARQUET_INT32:
    case PARQUET_FLOAT: return 4;
    case PARQUET_INT64:
    case PARQUET_DOUBLE: return 8;
    case PARQUET_INT96: return 12;
    case PARQUET_FIXED: return (uint32_t)node->type_length;
    default: return 0;
    }
}

/* ---- conversions
 * ----------------------------------------------------------------------------------------- */

static enum parquet_conversion to_decimal(const struct file_node *node,
                                          const struct weir_type *type)
{
    bool integer = node->physical == PARQUET_INT32 || node->physical == PARQUET_INT64;
    if (is_decimal(node)) {
        if (node->scale != type->scale || node->precision > type->precision)
            return CONVERT_IMPOSSIBLE;
    } else if (!integer || type->scale != 0 || is_time(node) || is_timestamp(node) ||
               is_date(node) || !is_unsigned(node) || type->precision < 20) {
        return CONVERT_IMPOSSIBLE;
    }
    switch (node->physical) {
    case PARQUET_INT32: return CONVERT_INT_DECIMAL;
    case PARQUET_INT64: return is_decimal(node) ? CONVERT_LONG_DECIMAL : CONVERT_ULONG_DECIMAL;
    case PARQUET_FIXED: return CONVERT_FIXED_DECIMAL;
    default: return CONVERT_BYTES_DECIMAL;
    }
}

/* Times and timestamps; a bare INT64 is believed to be microseconds when somebody wants it so. */
static enum parquet_conversion to_micros(const struct file_node *node, const struct weir_type *type)
{
    bool time = type->id == WEIR_TIME;
    if (!time && node->physical == PARQUET_INT96)
        return CONVERT_INT96;
    if (!time && is_date(node))
        return CONVERT_DAYS_MICROS;
    if (is_decimal(node) || (time ? is_timestamp(node) : is_time(node)))
        return CONVERT_IMPOSSIBLE;
    if (node->physical == PARQUET_INT32)
        return time && is_time(node) && unit_of(node) == UNIT_MILLIS ? CONVERT_INT_MILLIS
                                                                     : CONVERT_IMPOSSIBLE;
    if (node->physical != PARQUET_INT64)
        return CONVERT_IMPOSSIBLE;
    switch (unit_of(node)) {
    case UNIT_MILLIS: return CONVERT_LONG_MILLIS;
    case UNIT_NANOS: return CONVERT_NANOS;
    default: return CONVERT_NONE;
    }
}

static enum parquet_conversion to_long(const struct file_node *node)
{
    if (is_decimal(node))
        return CONVERT_IMPOSSIBLE;
    if (node->physical == PARQUET_INT32)
        return is_unsigned(node) ? CONVERT_UINT_LONG : CONVERT_INT_LONG;
    return node->physical == PARQUET_INT64 && !is_unsigned(node) ? CONVERT_NONE
                                                                 : CONVERT_IMPOSSIBLE;
}

static enum parquet_conversion when(bool holds, enum parquet_conversion conversion)
{
    return holds ? conversion : CONVERT_IMPOSSIBLE;
}

enum parquet_conversion parquet_conversion_of(const struct file_node *node,
                                              const struct weir_type *type)
{
    int32_t physical = node->physical;
    switch (type->id) {
    case WEIR_BOOLEAN: return when(physical == PARQUET_BOOLEAN, CONVERT_BOOLEAN);
    case WEIR_INT:
    case WEIR_DATE:
        return when(physical == PARQUET_INT32 && !is_decimal(node) && !is_unsigned(node),
                    CONVERT_NONE);
    case WEIR_LONG: return to_long(node);
    case WEIR_FLOAT:
        return is_half(node) ? CONVERT_HALF_FLOAT : when(physical == PARQUET_FLOAT, CONVERT_NONE);
    case WEIR_DOUBLE:
        return is_half(node)               ? CONVERT_HALF_DOUBLE
               : physical == PARQUET_FLOAT ? CONVERT_FLOAT_DOUBLE
                                           : when(physical == PARQUET_DOUBLE, CONVERT_NONE);
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ: return to_micros(node, type);
    case WEIR_STRING:
        return when(physical == PARQUET_BYTE_ARRAY && !is_decimal(node), CONVERT_STRING);
    case WEIR_BINARY:
        return when(physical == PARQUET_BYTE_ARRAY && !is_decimal(node), CONVERT_BINARY);
    case WEIR_UUID:
        return when(physical == PARQUET_FIXED && node->type_length == 16 && !is_decimal(node),
                    CONVERT_NONE);
    case WEIR_FIXED:
        return when(physical == PARQUET_FIXED && (uint32_t)node->type_length == type->length &&
                        !is_decimal(node),
                    CONVERT_NONE);
    case WEIR_DECIMAL: return to_decimal(node, type);
    default: return CONVERT_IMPOSSIBLE;
    }
}

/* ---- shapes
 * ---------------------------------------------------------------------------------------------- */

static bool named(const struct file_node *node, const char *name, size_t size)
{
    return node->name.size == size && memcmp(node->name.data, name, size) == 0;
}

/* LogicalTypes.md, "Backward-compatibility rules": when the repeated node is the element itself. */
static bool element_is_group(const struct file_meta *meta, const struct file_node *list,
                             const struct file_node *group)
{
    static const char tuple[] = "_tuple";
    if (group->physical >= 0 || group->child_count != 1 || named(group, "array", 5))
        return true;
    if (meta->nodes[group->first_child].repetition == 2)
        return true;
    return group->name.size == list->name.size + sizeof tuple - 1 &&
           memcmp(group->name.data, list->name.data, list->name.size) == 0 &&
           memcmp(group->name.data + list->name.size, tuple, sizeof tuple - 1) == 0;
}

enum parquet_shape parquet_shape_of(const struct file_meta *meta, const struct file_node *node,
                                    bool owned, struct parquet_repeated *ret_repeated)
{
    if (node->repetition == 2 && !owned && node != meta->nodes) {
        *ret_repeated = (struct parquet_repeated){.group = node, .element = node};
        return PARQUET_SHAPE_LIST;
    }
    if (node->physical >= 0)
        return PARQUET_SHAPE_LEAF;
    const struct file_node *group = node->child_count == 1 ? &meta->nodes[node->first_child] : NULL;
    if (!group || group->repetition != 2 || node == meta->nodes)
        return PARQUET_SHAPE_STRUCT;
    bool map = node->logical == LOGICAL_MAP ||
               (node->logical == 0 &&
                (node->converted == CONVERTED_MAP || node->converted == CONVERTED_MAP_KEY_VALUE));
    bool list = node->logical == LOGICAL_LIST ||
                (node->logical == 0 && node->converted == CONVERTED_LIST);
    if (map && group->physical < 0 && group->child_count == 2) {
        const struct file_node *key = &meta->nodes[group->first_child];
        *ret_repeated = (struct parquet_repeated){
            .group = group, .key = key, .value = &meta->nodes[key->next]};
        return PARQUET_SHAPE_MAP;
    }
    if (!list && !map)
        return PARQUET_SHAPE_STRUCT;
    /* A map of keys only is a set: a list of its keys. */
    bool itself = element_is_group(meta, node, group);
    *ret_repeated = (struct parquet_repeated){
        .group = group, .element = itself ? group : &meta->nodes[group->first_child]};
    return PARQUET_SHAPE_LIST;
}

static weir_status node_type(struct weir_arena *arena, const struct file_meta *meta,
                             const struct file_node *node, bool owned, unsigned depth,
                             struct weir_type *type, struct weir_error *reterr);

static weir_status child_field(struct weir_arena *arena, const struct file_meta *meta,
                               const struct file_node *node, bool owned, const char *name,
                               unsigned depth, struct weir_field *field, struct weir_error *reterr)
{
    *field = (struct weir_field){
        .id = node->field_id, .required = owned || node->repetition == 0, .name = name};
    if (!name) {
        char *copy;
        if (node->name.size && memchr(node->name.data, 0, node->name.size))
            return weir_fail(reterr, WEIR_CORRUPT, "a column's name with a zero byte in it");
        WEIR_TRY(weir_arena_copy(arena, node->name.size ? (const char *)node->name.data : "",
                                 node->name.size, &copy, reterr));
        field->name = copy;
    }
    return node_type(arena, meta, node, owned, depth + 1, &field->type, reterr);
}

static weir_status node_type(struct weir_arena *arena, const struct file_meta *meta,
                             const struct file_node *node, bool owned, unsigned depth,
                             struct weir_type *type, struct weir_error *reterr)
{
    struct parquet_repeated below = {0};
    enum parquet_shape shape = parquet_shape_of(meta, node, owned, &below);
    if (depth > PARQUET_DEPTH_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "a schema deeper than %d", PARQUET_DEPTH_MAX);
    if (shape == PARQUET_SHAPE_LEAF)
        return leaf_type(node, type, reterr);
    uint32_t count = shape == PARQUET_SHAPE_STRUCT ? node->child_count
                     : shape == PARQUET_SHAPE_LIST ? 1
                                                   : 2;
    *type = (struct weir_type){.id = shape == PARQUET_SHAPE_STRUCT ? WEIR_STRUCT
                                     : shape == PARQUET_SHAPE_LIST ? WEIR_LIST
                                                                   : WEIR_MAP,
                               .child_count = count};
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *type->children, &type->children, reterr));
    if (shape == PARQUET_SHAPE_LIST)
        return child_field(arena, meta, below.element, below.element == below.group, "element",
                           depth, type->children, reterr);
    if (shape == PARQUET_SHAPE_MAP) {
        WEIR_TRY(
            child_field(arena, meta, below.key, false, "key", depth, &type->children[0], reterr));
        type->children[0].required = true;
        return child_field(arena, meta, below.value, false, "value", depth, &type->children[1],
                           reterr);
    }
    uint32_t at = node->first_child;
    for (uint32_t i = 0; i < count; i++, at = meta->nodes[at].next)
        WEIR_TRY(child_field(arena, meta, &meta->nodes[at], false, NULL, depth, &type->children[i],
                             reterr));
    return WEIR_OK;
}

weir_status parquet_type_make(struct weir_arena *arena, const struct file_meta *meta,
                              struct weir_type *ret_type, struct weir_error *reterr)
{
    struct weir_type type;
    WEIR_TRY(node_type(arena, meta, &meta->nodes[0], false, 0, &type, reterr));
    if (type.id != WEIR_STRUCT)
        return weir_fail(reterr, WEIR_CORRUPT, "the schema's root is no struct");
    *ret_type = type;
    return WEIR_OK;
}
