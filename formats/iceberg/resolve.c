/* Name mappings and default values. */
#include "formats/iceberg/resolve.h"

#include <string.h>

#include "engine/base/limits.h"
#include "formats/iceberg/prune.h"
#include "formats/iceberg/value_int.h"

#define NO_SUCH_NAME "\x7f" /* Parquet names are UTF-8 text; nobody names a column DEL */

/* The names that the mapping has for a field id, anywhere in it. */
static const json_t *names_of(const json_t *mapping, int32_t id, int depth)
{
    const json_t *found = NULL;
    if (depth > WEIR_SCHEMA_DEPTH_MAX)
        return NULL;
    for (size_t i = 0; !found && i < json_array_size(mapping); i++) {
        const json_t *field = json_array_get(mapping, i), *its = json_object_get(field, "field-id");
        if (json_is_integer(its) && json_integer_value(its) == id)
            return json_object_get(field, "names");
        found = names_of(json_object_get(field, "fields"), id, depth + 1);
    }
    return found;
}

static weir_status apply(struct weir_arena *arena, const json_t *mapping,
                         const struct weir_type *wanted, const struct weir_type *file,
                         struct weir_type *ret_names, struct weir_error *reterr)
{
    struct weir_type names = *wanted;
    WEIR_TRY(weir_arena_zero(arena, wanted->child_count, sizeof *names.children, &names.children,
                             reterr));
    bool same = file && file->id == wanted->id;
    for (uint32_t i = 0; i < wanted->child_count; i++) {
        const struct weir_field *child = NULL;
        names.children[i] = wanted->children[i];
        if (wanted->id != WEIR_STRUCT) {
            child = same ? &file->children[i] : NULL;
        } else {
            const json_t *list = names_of(mapping, wanted->children[i].id, 0);
            for (size_t j = 0; same && !child && j < json_array_size(list); j++) {
                const char *name = json_string_value(json_array_get(list, j));
                child = name ? weir_type_child(file, name, strlen(name)) : NULL;
            }
        }
        names.children[i].name = child ? child->name : NO_SUCH_NAME;
        WEIR_TRY(apply(arena, mapping, &wanted->children[i].type, child ? &child->type : NULL,
                       &names.children[i].type, reterr));
    }
    *ret_names = names;
    return WEIR_OK;
}

weir_status weir_name_mapping_apply(struct weir_arena *arena, const json_t *mapping,
                                    const struct weir_type *wanted, const struct weir_type *file,
                                    struct weir_type *ret_names, struct weir_error *reterr)
{
    return apply(arena, mapping, wanted, file, ret_names, reterr);
}

/* ---- JSON values ---------------------------------------------------------------------------- */

static bool hex_bytes(const char *text, size_t size, uint8_t *out)
{
    for (size_t i = 0; i < size; i++) {
        const char *digits = "0123456789abcdef";
        char letter = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] + 32) : text[i];
        const char *found = letter ? strchr(digits, letter) : NULL;
        if (!found)
            return false;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | (found - digits));
    }
    return size % 2 == 0;
}

/* Numbers and texts of fixed width, as the bytes of a flat vector. */
static bool fixed_value(const struct weir_type *type, const json_t *json, uint8_t out[16])
{
    const char *text = json_string_value(json);
    size_t size = json_string_length(json);
    int64_t whole = json_integer_value(json);
    double real = json_number_value(json);
    float single = (float)real;
    weir_int128 unscaled;
    switch (type->id) {
    case WEIR_BOOLEAN: out[0] = json_is_true(json); return json_is_boolean(json);
    case WEIR_INT:
        memcpy(out, &(int32_t){(int32_t)whole}, 4);
        return json_is_integer(json) && whole >= INT32_MIN && whole <= INT32_MAX;
    case WEIR_LONG: memcpy(out, &whole, 8); return json_is_integer(json);
    case WEIR_FLOAT: memcpy(out, &single, 4); return json_is_number(json);
    case WEIR_DOUBLE: memcpy(out, &real, 8); return json_is_number(json);
    default: break;
    }
    if (!text)
        return false;
    switch (type->id) {
    case WEIR_DECIMAL:
        if (!weir_text_decimal(text, size, type->precision, type->scale, &unscaled))
            return false;
        memcpy(out, &unscaled, 16);
        return true;
    case WEIR_DATE: return weir_text_date(text, size, (int32_t *)(void *)out);
    case WEIR_TIME: return weir_text_time(text, size, (int64_t *)(void *)out);
    case WEIR_TIMESTAMP: return weir_text_timestamp(text, size, (int64_t *)(void *)out);
    case WEIR_TIMESTAMPTZ: return weir_text_timestamptz(text, size, (int64_t *)(void *)out);
    case WEIR_UUID: return weir_text_uuid(text, size, out);
    default: return false;
    }
}

/* Texts of any length: strings as they are, bytes in hex. */
static weir_status long_value(struct weir_arena *arena, const struct weir_type *type,
                              const json_t *json, struct weir_bytes *ret_bytes, bool *ret_good,
                              struct weir_error *reterr)
{
    const char *text = json_string_value(json);
    size_t size = json_string_length(json);
    uint8_t *bytes;
    *ret_good = text != NULL;
    if (!text)
        return WEIR_OK;
    if (type->id == WEIR_STRING) {
        *ret_bytes = (struct weir_bytes){(const uint8_t *)text, size};
        return WEIR_OK;
    }
    WEIR_TRY(weir_arena_zero(arena, size / 2 + 1, 1, &bytes, reterr));
    *ret_good = hex_bytes(text, size, bytes);
    *ret_bytes = (struct weir_bytes){bytes, size / 2};
    return WEIR_OK;
}

weir_status weir_value_from_json(struct weir_arena *arena, const struct weir_type *type,
                                 const json_t *json, struct weir_vector *ret_vector,
                                 struct weir_error *reterr)
{
    struct weir_bytes bytes = {0};
    _Alignas(16) uint8_t value[16] = {0}, packed[16];
    bool good = true;
    if (weir_type_is_nested(type->id))
        return weir_fail(reterr, WEIR_UNSUPPORTED, "a default value of type %s",
                         weir_type_name(type->id));
    if (!json || json_is_null(json))
        return weir_value_vector(arena, type, &bytes, ret_vector, reterr);
    if (type->id == WEIR_STRING || type->id == WEIR_BINARY || type->id == WEIR_FIXED) {
        WEIR_TRY(long_value(arena, type, json, &bytes, &good, reterr));
    } else {
        good = fixed_value(type, json, value);
        bytes = (struct weir_bytes){value, type->id == WEIR_BOOLEAN ? 1 : weir_type_width(type)};
    }
    if (!good)
        return weir_fail(reterr, WEIR_CORRUPT, "a default value that is no %s",
                         weir_type_name(type->id));
    if (type->id == WEIR_DECIMAL) {
        weir_int128 unscaled;
        memcpy(&unscaled, value, 16);
        size_t size = value_decimal_bytes(unscaled, packed);
        bytes = (struct weir_bytes){packed + 16 - size, size};
    }
    return weir_value_vector(arena, type, &bytes, ret_vector, reterr);
}
