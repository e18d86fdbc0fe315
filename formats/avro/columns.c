/* Columns that grow value by value, and give back what a refused record put into them. */
#include "formats/avro/rows_int.h"

#include <string.h>

uint32_t avro_column_count(const struct weir_type *type)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < type->child_count; i++)
        count += avro_column_count(&type->children[i].type);
    return count;
}

uint32_t avro_child(const struct weir_type *type, uint32_t column, uint32_t child)
{
    uint32_t number = column + 1;
    for (uint32_t i = 0; i < child; i++)
        number += avro_column_count(&type->children[i].type);
    return number;
}

static void init(struct weir_avro_rows *rows, uint32_t number, const struct weir_field *field)
{
    struct avro_column *column = &rows->columns[number];
    const struct weir_type *type = &field->type;
    column->field = field;
    column->id = type->id;
    column->width = type->id == WEIR_BOOLEAN ? 1 : weir_type_width(type);
    column->first_child = number + 1;
    column->after = number + avro_column_count(type);
    weir_buffer_init(&column->values, rows->account);
    weir_buffer_init(&column->offsets, rows->account);
    weir_buffer_init(&column->valid, rows->account);
    for (uint32_t i = 0; i < type->child_count; i++)
        init(rows, avro_child(type, number, i), &type->children[i]);
}

weir_status avro_columns_init(struct weir_avro_rows *rows, struct weir_error *reterr)
{
    rows->root = (struct weir_field){.name = "", .required = true, .type = *rows->schema};
    rows->count = avro_column_count(rows->schema);
    WEIR_TRY(
        weir_alloc_zero(rows->account, rows->count, sizeof *rows->columns, &rows->columns, reterr));
    init(rows, 0, &rows->root);
    return WEIR_OK;
}

void avro_columns_clear(struct weir_avro_rows *rows)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        struct avro_column *column = &rows->columns[i];
        weir_buffer_clear(&column->values);
        weir_buffer_clear(&column->offsets);
        weir_buffer_clear(&column->valid);
        column->count = column->nulls = 0;
    }
}

void avro_columns_done(struct weir_avro_rows *rows)
{
    for (uint32_t i = 0; rows->columns && i < rows->count; i++) {
        weir_buffer_done(&rows->columns[i].values);
        weir_buffer_done(&rows->columns[i].offsets);
        weir_buffer_done(&rows->columns[i].valid);
    }
    weir_free(rows->columns);
}

/* ---- putting ---- */

static bool is_group(const struct avro_column *column)
{
    return column->id == WEIR_LIST || column->id == WEIR_MAP;
}

static weir_status count_one(struct avro_column *column, uint8_t valid, struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_append(&column->valid, &valid, 1, reterr));
    column->nulls += !valid;
    column->count++;
    return WEIR_OK;
}

static weir_status put_end(struct avro_column *column, size_t end, struct weir_error *reterr)
{
    int32_t offset = (int32_t)end;
    return weir_buffer_append(&column->offsets, &offset, sizeof offset, reterr);
}

weir_status avro_put_null(struct weir_avro_rows *rows, uint32_t number, struct weir_error *reterr)
{
    struct avro_column *column = &rows->columns[number];
    static const uint8_t zero[16] = {0};
    for (size_t left = column->width; left;) {
        size_t size = left < sizeof zero ? left : sizeof zero;
        WEIR_TRY(weir_buffer_append(&column->values, zero, size, reterr));
        left -= size;
    }
    if (column->id == WEIR_STRING || column->id == WEIR_BINARY)
        WEIR_TRY(put_end(column, column->values.size, reterr));
    else if (is_group(column))
        WEIR_TRY(put_end(column, rows->columns[column->first_child].count, reterr));
    for (uint32_t child = column->first_child; column->id == WEIR_STRUCT && child < column->after;
         child = rows->columns[child].after)
        WEIR_TRY(avro_put_null(rows, child, reterr));
    return count_one(column, 0, reterr);
}

weir_status avro_put_fixed(struct avro_column *column, const void *value, struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_append(&column->values, value, column->width, reterr));
    return count_one(column, 1, reterr);
}

weir_status avro_put_text(struct avro_column *column, const void *data, size_t size,
                          struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_append(&column->values, data, size, reterr));
    WEIR_TRY(put_end(column, column->values.size, reterr));
    return count_one(column, 1, reterr);
}

weir_status avro_put_group(struct weir_avro_rows *rows, uint32_t number, struct weir_error *reterr)
{
    struct avro_column *column = &rows->columns[number];
    if (is_group(column))
        WEIR_TRY(put_end(column, rows->columns[column->first_child].count, reterr));
    return count_one(column, 1, reterr);
}

void avro_columns_cut(struct weir_avro_rows *rows, uint32_t number, uint32_t count)
{
    struct avro_column *column = &rows->columns[number];
    const int32_t *offsets = (const int32_t *)column->offsets.data;
    uint32_t end = count && column->offsets.size ? (uint32_t)offsets[count - 1] : 0;
    if (column->count > count) { /* a record that was cut off may have put less */
        const uint8_t *valid = column->valid.data;
        for (uint32_t i = count; i < column->count; i++)
            column->nulls -= !valid[i];
        column->count = count;
    }
    column->valid.size = column->count;
    if (column->width)
        column->values.size = (size_t)column->count * column->width;
    if (column->id == WEIR_STRING || column->id == WEIR_BINARY)
        column->values.size = end;
    if (column->id == WEIR_STRING || column->id == WEIR_BINARY || is_group(column))
        column->offsets.size = (size_t)column->count * sizeof(int32_t);
    for (uint32_t child = column->first_child; child < column->after;
         child = rows->columns[child].after)
        avro_columns_cut(rows, child, is_group(column) ? end : count);
}

/* ---- the batch ---- */

static weir_status pack(struct weir_arena *arena, const uint8_t *bytes, uint32_t count,
                        uint8_t **ret_bits, struct weir_error *reterr)
{
    uint8_t *bits;
    WEIR_TRY(weir_arena_zero(arena, ((size_t)count + 511) / 512 * 64 + 64, 1, &bits, reterr));
    for (uint32_t i = 0; i < count; i++)
        bits[i >> 3] |= (uint8_t)(bytes[i] << (i & 7));
    *ret_bits = bits;
    return WEIR_OK;
}

static weir_status vector_of(struct weir_avro_rows *rows, uint32_t number, struct weir_arena *arena,
                             struct weir_vector *ret_vector, struct weir_error *reterr)
{
    const struct avro_column *column = &rows->columns[number];
    const struct weir_type *type = &column->field->type;
    struct weir_vector vector = {.type = type, .count = column->count, .null_count = column->nulls};
    if (column->nulls)
        WEIR_TRY(pack(arena, column->valid.data, column->count, &vector.validity, reterr));
    if (column->id == WEIR_BOOLEAN) {
        WEIR_TRY(
            pack(arena, column->values.data, column->count, (uint8_t **)&vector.values, reterr));
    } else if (column->id != WEIR_STRUCT && !is_group(column)) {
        WEIR_TRY(weir_arena_alloc(arena, column->values.size + 64, &vector.values, reterr));
        if (column->values.size)
            memcpy(vector.values, column->values.data, column->values.size);
        memset((uint8_t *)vector.values + column->values.size, 0, 64);
    }
    if (column->id == WEIR_STRING || column->id == WEIR_BINARY || is_group(column)) {
        WEIR_TRY(weir_arena_alloc(arena, ((size_t)column->count + 17) * sizeof *vector.offsets,
                                  &vector.offsets, reterr));
        vector.offsets[0] = 0;
        if (column->count)
            memcpy(vector.offsets + 1, column->offsets.data, column->offsets.size);
    }
    if (type->child_count)
        WEIR_TRY(weir_arena_zero(arena, type->child_count, sizeof *vector.children,
                                 &vector.children, reterr));
    uint32_t child = column->first_child;
    for (uint32_t i = 0; i < type->child_count; i++) {
        WEIR_TRY(vector_of(rows, child, arena, &vector.children[i], reterr));
        child = rows->columns[child].after;
    }
    *ret_vector = vector;
    return WEIR_OK;
}

weir_status avro_columns_batch(struct weir_avro_rows *rows, struct weir_arena *arena,
                               struct weir_batch *ret_batch, struct weir_error *reterr)
{
    struct weir_vector root;
    WEIR_TRY(vector_of(rows, 0, arena, &root, reterr));
    if (!root.children)
        WEIR_TRY(weir_arena_zero(arena, 1, sizeof *root.children, &root.children, reterr));
    *ret_batch = (struct weir_batch){rows->schema, root.count, root.children};
    return WEIR_OK;
}
