/* Rows back to JSON. What weir_json_decode makes of the result is the rows again (doubles that are
 * no numbers aside: JSON has no word for them, so they are null). */
#include "formats/json/json.h"

#include "engine/base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static weir_status write_text(struct weir_buffer *out, const char *text, size_t size,
                              struct weir_error *reterr)
{
    size_t from = 0;

    WEIR_TRY(weir_buffer_append(out, "\"", 1, reterr));
    for (size_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        WEIR_TRY(weir_buffer_append(out, text + from, i - from, reterr));
        from = i + 1;
        if (c == '"' || c == '\\')
            WEIR_TRY(weir_buffer_print(out, reterr, "\\%c", c));
        else if (c == '\n' || c == '\t' || c == '\r')
            WEIR_TRY(weir_buffer_print(out, reterr, "\\%c",
                                       c == '\n'   ? 'n'
                                       : c == '\t' ? 't'
                                                   : 'r'));
        else
            WEIR_TRY(weir_buffer_print(out, reterr, "\\u%04x", c));
    }
    WEIR_TRY(weir_buffer_append(out, text + from, size - from, reterr));
    return weir_buffer_append(out, "\"", 1, reterr);
}

static weir_status write_base64(struct weir_buffer *out, const uint8_t *bytes, size_t size,
                                struct weir_error *reterr)
{
    size_t encoded = weir_base64_size(size);

    WEIR_TRY(weir_buffer_reserve(out, encoded + 3, reterr));
    out->data[out->size++] = '"';
    out->size += weir_base64_encode((char *)out->data + out->size, bytes, size);
    out->data[out->size++] = '"';
    return WEIR_OK;
}

static int64_t value_int64(const struct weir_vector *vector, size_t row)
{
    return ((const int64_t *)vector->values)[row];
}

/* Times are quoted, numbers are not. Returns the size, 0 for null. */
static size_t print_scalar(const struct weir_vector *vector, size_t row, char out[64])
{
    const int32_t *narrow = vector->values;
    const float *single = vector->values;
    const double *real = vector->values;
    weir_int128 unscaled;
    float back;

    switch (vector->type->id) {
    case WEIR_BOOLEAN:
        return (size_t)snprintf(out, 6, "%s", weir_bit_get(vector->values, row) ? "true" : "false");
    case WEIR_INT: return weir_print_int64(out, narrow[row]);
    case WEIR_LONG: return weir_print_int64(out, value_int64(vector, row));
    case WEIR_FLOAT:
        if (!isfinite(single[row]))
            return 0;
        for (int precision = 6; precision <= 9;
             precision++) { /* the shortest that reads back as this float */
            double rounded = single[row];
            char text[32];
            snprintf(text, sizeof text, "%.*e", precision - 1, rounded);
            weir_text_double(text, strlen(text), &rounded);
            size_t size = weir_print_double(out, rounded);
            if (precision == 9 || (weir_text_float(out, size, &back) && back == single[row]))
                return size;
        }
        return 0;
    case WEIR_DOUBLE: return isfinite(real[row]) ? weir_print_double(out, real[row]) : 0;
    case WEIR_DECIMAL:
        memcpy(&unscaled, (const uint8_t *)vector->values + row * 16, 16);
        return weir_print_decimal(out, unscaled, vector->type->scale);
    case WEIR_DATE: return weir_print_date(out, narrow[row]);
    case WEIR_TIME: return weir_print_time(out, value_int64(vector, row));
    case WEIR_TIMESTAMP: return weir_print_timestamp(out, value_int64(vector, row));
    case WEIR_TIMESTAMPTZ: return weir_print_timestamptz(out, value_int64(vector, row));
    case WEIR_UUID: return weir_print_uuid(out, (const uint8_t *)vector->values + row * 16);
    default: return 0;
    }
}

static bool is_quoted(enum weir_type_id id)
{
    return id == WEIR_DATE || id == WEIR_TIME || id == WEIR_TIMESTAMP || id == WEIR_TIMESTAMPTZ ||
           id == WEIR_UUID;
}

static weir_status write_value(struct weir_buffer *out, const struct weir_vector *vector,
                               size_t row, bool as_key, struct weir_error *reterr);

static weir_status write_members(struct weir_buffer *out, const struct weir_type *type,
                                 const struct weir_vector *children, size_t row,
                                 struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_append(out, "{", 1, reterr));
    for (uint32_t i = 0; i < type->child_count; i++) {
        if (i > 0)
            WEIR_TRY(weir_buffer_append(out, ",", 1, reterr));
        WEIR_TRY(write_text(out, type->children[i].name, strlen(type->children[i].name), reterr));
        WEIR_TRY(weir_buffer_append(out, ":", 1, reterr));
        WEIR_TRY(write_value(out, &children[i], row, false, reterr));
    }
    return weir_buffer_append(out, "}", 1, reterr);
}

static weir_status write_entries(struct weir_buffer *out, const struct weir_vector *vector,
                                 size_t row, struct weir_error *reterr)
{
    bool map = vector->type->id == WEIR_MAP;

    WEIR_TRY(weir_buffer_append(out, map ? "{" : "[", 1, reterr));
    for (int32_t i = vector->offsets[row]; i < vector->offsets[row + 1]; i++) {
        if (i > vector->offsets[row])
            WEIR_TRY(weir_buffer_append(out, ",", 1, reterr));
        if (map) {
            WEIR_TRY(write_value(out, &vector->children[0], (size_t)i, true, reterr));
            WEIR_TRY(weir_buffer_append(out, ":", 1, reterr));
        }
        WEIR_TRY(write_value(out, &vector->children[map], (size_t)i, false, reterr));
    }
    return weir_buffer_append(out, map ? "}" : "]", 1, reterr);
}

static weir_status write_flat(struct weir_buffer *out, const struct weir_vector *vector, size_t row,
                              bool as_key, struct weir_error *reterr)
{
    const char *bytes = vector->values;
    char text[66];
    size_t size;

    switch (vector->type->id) {
    case WEIR_STRING:
        return write_text(out, bytes + vector->offsets[row],
                          (size_t)(vector->offsets[row + 1] - vector->offsets[row]), reterr);
    case WEIR_BINARY:
        return write_base64(out, (const uint8_t *)bytes + vector->offsets[row],
                            (size_t)(vector->offsets[row + 1] - vector->offsets[row]), reterr);
    case WEIR_FIXED:
        return write_base64(out, (const uint8_t *)bytes + row * vector->type->length,
                            vector->type->length, reterr);
    case WEIR_STRUCT: return write_members(out, vector->type, vector->children, row, reterr);
    case WEIR_LIST:
    case WEIR_MAP: return write_entries(out, vector, row, reterr);
    default: break;
    }
    size = print_scalar(vector, row, text + 1);
    if (size == 0)
        return weir_buffer_append(out, "null", 4, reterr);
    if (!is_quoted(vector->type->id) && !as_key)
        return weir_buffer_append(out, text + 1, size, reterr);
    text[0] = text[size + 1] = '"';
    return weir_buffer_append(out, text, size + 2, reterr);
}

static weir_status write_value(struct weir_buffer *out, const struct weir_vector *vector,
                               size_t row, bool as_key, struct weir_error *reterr)
{
    if (!weir_vector_valid(vector, row))
        return weir_buffer_append(out, "null", 4, reterr);
    if (vector->kind == WEIR_DICTIONARY)
        return write_flat(out, vector->dictionary, vector->indices[row], as_key, reterr);
    return write_flat(out, vector, vector->kind == WEIR_CONSTANT ? 0 : row, as_key, reterr);
}

weir_status weir_json_write_rows(const struct weir_batch *batch, struct weir_buffer *out,
                                 struct weir_error *reterr)
{
    for (uint32_t row = 0; row < batch->count; row++) {
        WEIR_TRY(write_members(out, batch->type, batch->columns, row, reterr));
        WEIR_TRY(weir_buffer_append(out, "\n", 1, reterr));
    }
    return WEIR_OK;
}
