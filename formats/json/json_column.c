/* The columns below a plan's nodes: grown in the caller's arena, cut back when a record turns out
 * bad. */
#include "formats/json/json_int.h"

#include <string.h>

#define ROWS_FIRST  64
#define BYTES_FIRST 1024
#define BYTES_EXPECTED_MAX                                                                         \
    (8u << 20) /* one batch of long strings must not make every later one large */

bool json_out_of_memory(struct weir_json_decoder *decoder, weir_status status)
{
    decoder->status = status;
    return false;
}

static bool has_bytes(const struct json_node *node)
{
    return node->type == WEIR_STRING || node->type == WEIR_BINARY;
}

static bool has_offsets(const struct json_node *node)
{
    return has_bytes(node) || node->type == WEIR_LIST || node->type == WEIR_MAP;
}

/* A block of `size` bytes and padding, holding the first `used` bytes of *block. */
static bool column_block(struct weir_json_decoder *decoder, void *block, size_t used, size_t size)
{
    void *larger;
    weir_status status = weir_arena_alloc(decoder->arena, size + JSON_PADDING, &larger,
                                          &decoder->error);

    if (status != WEIR_OK)
        return json_out_of_memory(decoder, status);
    if (used > 0)
        memcpy(larger, *(void **)block, used);
    *(void **)block = larger;
    return true;
}

static size_t bits_size(uint32_t count)
{
    return ((size_t)count + 7) / 8;
}

static bool column_resize(struct weir_json_decoder *decoder, struct json_node *node,
                          uint32_t capacity)
{
    if (node->type == WEIR_BOOLEAN &&
        !column_block(decoder, &node->values, bits_size(node->count), bits_size(capacity)))
        return false;
    if (node->width > 0 && !column_block(decoder, &node->values, (size_t)node->count * node->width,
                                         (size_t)capacity * node->width))
        return false;
    if (has_offsets(node) &&
        !column_block(decoder, &node->offsets, node->offsets ? ((size_t)node->count + 1) * 4 : 0,
                      ((size_t)capacity + 1) * 4))
        return false;
    if (node->validity) {
        size_t used = bits_size(node->count), size = bits_size(capacity);
        if (!column_block(decoder, &node->validity, used, size))
            return false;
        memset(node->validity + used, 0xFF, size - used);
    }
    node->capacity = capacity;
    return true;
}

/* Rows to start with: known for columns of the record itself, else as many as the batch before
 * suggests. */
static uint32_t rows_expected(const struct json_node *node, uint32_t rows)
{
    uint64_t expected = (uint64_t)rows * 2;

    if (!node->in_list)
        return rows;
    if (node->last_rows > 0)
        expected = (uint64_t)node->last_count * rows / node->last_rows * 9 / 8;
    if (expected > WEIR_LIST_ELEMENTS_MAX / 16)
        expected = WEIR_LIST_ELEMENTS_MAX / 16;
    return (uint32_t)expected + ROWS_FIRST;
}

bool json_column_begin(struct weir_json_decoder *decoder, struct json_node *node, uint32_t rows)
{
    uint32_t capacity = rows_expected(node, rows);
    size_t bytes = (size_t)capacity * 16 + BYTES_FIRST;

    node->count = node->null_count = 0;
    node->values = node->validity = NULL;
    node->offsets = NULL;
    if (!column_resize(decoder, node, capacity > 0 ? capacity : 1))
        return false;
    if (has_offsets(node))
        node->offsets[0] = 0;
    if (has_bytes(node)) {
        if (node->last_rows > 0 && node->last_bytes < JSON_INPUT_MAX)
            bytes = node->last_bytes * rows / node->last_rows * 9 / 8 + BYTES_FIRST;
        node->bytes = 0;
        if (bytes > BYTES_EXPECTED_MAX)
            bytes = BYTES_EXPECTED_MAX;
        if (!column_block(decoder, &node->values, 0, bytes))
            return false;
        node->bytes_capacity = bytes;
    }
    for (uint32_t i = 0; i < node->child_count; i++)
        if (!json_column_begin(decoder, &node->children[i], rows))
            return false;
    return true;
}

bool json_column_grow(struct weir_json_decoder *decoder, struct json_node *node)
{
    if (node->capacity >= WEIR_LIST_ELEMENTS_MAX)
        return json_out_of_memory(decoder, weir_fail(&decoder->error, WEIR_NO_MEMORY,
                                                     "more than %u elements in one column",
                                                     WEIR_LIST_ELEMENTS_MAX));
    return column_resize(decoder, node, node->capacity * 2);
}

bool json_column_reserve(struct weir_json_decoder *decoder, struct json_node *node, size_t bytes)
{
    size_t capacity = node->bytes_capacity;

    if (bytes <= capacity - node->bytes)
        return true;
    capacity *= 2;
    if (capacity - node->bytes < bytes)
        capacity = (node->bytes + bytes) / 8 * 9 + BYTES_FIRST;
    if (!column_block(decoder, &node->values, node->bytes, capacity))
        return false;
    node->bytes_capacity = capacity;
    return true;
}

bool json_column_null(struct weir_json_decoder *decoder, struct json_node *node)
{
    uint32_t row = node->count;

    if (!json_room(decoder, node))
        return false;
    if (!node->validity) {
        size_t size = bits_size(node->capacity);
        if (!column_block(decoder, &node->validity, 0, size))
            return false;
        memset(node->validity, 0xFF, size + JSON_PADDING);
    }
    weir_bit_clear(node->validity, row);
    node->null_count++;
    if (node->width > 0)
        memset(node->values + (size_t)row * node->width, 0, node->width);
    else if (node->type == WEIR_BOOLEAN)
        weir_bit_clear(node->values, row);
    else if (node->type == WEIR_STRUCT)
        for (uint32_t i = 0; i < node->child_count; i++)
            if (!json_column_null(decoder, &node->children[i]))
                return false;
    if (node->offsets)
        node->offsets[row + 1] = node->offsets[row];
    node->count = row + 1;
    return true;
}

/* Children may be ahead of a struct or list that was given up half-way, so they are always looked
 * at. */
void json_column_truncate(struct json_node *node, uint32_t count)
{
    uint32_t below = count;

    if (node->validity) {
        for (uint32_t row = count; row < node->count; row++) {
            if (!weir_bit_get(node->validity, row)) {
                weir_bit_set(node->validity, row);
                node->null_count--;
            }
        }
    }
    node->count = count;
    if (node->offsets)
        below = (uint32_t)node->offsets[count];
    if (has_bytes(node))
        node->bytes = below;
    for (uint32_t i = 0; i < node->child_count; i++)
        json_column_truncate(&node->children[i], below);
}

bool json_column_vectors(struct weir_json_decoder *decoder, const struct json_node *node,
                         struct weir_vector *vector)
{
    if (node->child_count == 0)
        return true;
    weir_status status = weir_arena_zero(decoder->arena, node->child_count,
                                         sizeof *vector->children, &vector->children,
                                         &decoder->error);
    if (status != WEIR_OK)
        return json_out_of_memory(decoder, status);
    for (uint32_t i = 0; i < node->child_count; i++)
        if (!json_column_vectors(decoder, &node->children[i], &vector->children[i]))
            return false;
    return true;
}

void json_column_finish(struct json_node *node, uint32_t rows, struct weir_vector *vector)
{
    vector->type = node->declared;
    vector->kind = WEIR_FLAT;
    vector->count = node->count;
    vector->null_count = node->null_count;
    vector->validity = node->null_count > 0 ? node->validity : NULL;
    vector->values = node->values;
    vector->offsets = node->offsets;
    node->last_rows = rows;
    node->last_count = node->count;
    node->last_bytes = node->bytes;
    for (uint32_t i = 0; i < node->child_count; i++)
        json_column_finish(&node->children[i], rows, &vector->children[i]);
}
