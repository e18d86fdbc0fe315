/* Rows of a join's side by morsel, put in order of partitions. */
#include "engine/exec/join_int.h"

void join_part_free(struct join_part *part)
{
    if (part)
        weir_row_store_done(&part->store);
    weir_free(part);
}

weir_status join_parts_add(struct join_parts *parts, struct weir_account *account,
                           struct join_part *part, struct weir_error *reterr)
{
    if (part->morsel >= parts->capacity) {
        size_t capacity = (part->morsel + 16) * 2;
        weir_status status = weir_realloc(&parts->parts, account, capacity * sizeof *parts->parts,
                                          reterr);
        if (status != WEIR_OK) {
            join_part_free(part);
            return status;
        }
        memset(parts->parts + parts->capacity, 0,
               (capacity - parts->capacity) * sizeof *parts->parts);
        parts->capacity = capacity;
    }
    parts->parts[part->morsel] = part;
    return WEIR_OK;
}

void join_parts_done(struct join_parts *parts)
{
    for (size_t i = 0; i < parts->capacity; i++)
        join_part_free(parts->parts[i]);
    weir_free(parts->parts);
    *parts = (struct join_parts){0};
}

struct ordering {
    const struct join_parts *parts;
    const struct weir_row_layout *layout;
    uint64_t (*offsets)[JOIN_PARTITIONS]; /* of each part */
    uint8_t **rows;
};

static weir_status order_part(void *argument, size_t index, struct weir_error *reterr)
{
    const struct ordering *ordering = argument;
    const struct join_part *part = ordering->parts->parts[index];
    uint64_t *offsets = ordering->offsets[index];
    struct weir_row_cursor cursor = {0};
    uint8_t *row;
    if (!part)
        return WEIR_OK;
    while ((row = weir_row_store_next(&part->store, ordering->layout, &cursor)))
        ordering->rows[offsets[join_partition_of(join_row(row)->hash)]++] = row;
    return WEIR_OK;
}

weir_status join_parts_order(const struct join_parts *parts, const struct weir_row_layout *layout,
                             struct weir_context *context, struct weir_account *account,
                             uint8_t ***ret_rows, uint64_t *starts, struct weir_error *reterr)
{
    struct ordering ordering = {.parts = parts, .layout = layout};
    uint64_t at = 0;
    weir_status status;
    WEIR_TRY(weir_alloc(account, (parts->capacity + 1) * sizeof *ordering.offsets,
                        &ordering.offsets, reterr));
    for (uint32_t p = 0; p < JOIN_PARTITIONS; p++) {
        starts[p] = at;
        for (size_t i = 0; i < parts->capacity; i++) {
            ordering.offsets[i][p] = at;
            at += parts->parts[i] ? parts->parts[i]->counts[p] : 0;
        }
    }
    starts[JOIN_PARTITIONS] = at;
    WEIR_TRY_OUT(status,
                 weir_alloc(account, (at + 1) * sizeof *ordering.rows, &ordering.rows, reterr));
    if (context)
        status = weir_parallel(context, parts->capacity, order_part, &ordering, reterr);
    else
        for (size_t i = 0; i < parts->capacity && status == WEIR_OK; i++)
            status = order_part(&ordering, i, reterr);
    if (status == WEIR_OK)
        *ret_rows = ordering.rows;
    else
        weir_free(ordering.rows);
out:
    weir_free(ordering.offsets);
    return status;
}
