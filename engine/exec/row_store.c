/* Rows one after the other in blocks. */
#include "engine/exec/row.h"

#define BLOCK_FIRST   (8u << 10)
#define BLOCK_LARGEST (1u << 20)

struct weir_row_block {
    struct weir_row_block *next;
    size_t capacity, used;
    _Alignas(64) uint8_t data[];
};

void weir_row_store_init(struct weir_row_store *store, struct weir_account *account)
{
    *store = (struct weir_row_store){.account = account};
}

void weir_row_store_done(struct weir_row_store *store)
{
    struct weir_row_block *block = store->first;
    while (block) {
        struct weir_row_block *next = block->next;
        weir_free(block);
        block = next;
    }
    store->first = store->last = NULL;
    store->row_count = store->byte_count = 0;
}

static weir_status store_grow(struct weir_row_store *store, uint32_t size,
                              struct weir_error *reterr)
{
    size_t capacity = store->last ? store->last->capacity * 2 : BLOCK_FIRST;
    capacity = capacity > BLOCK_LARGEST ? BLOCK_LARGEST : capacity;
    capacity = capacity < size ? size : capacity;
    struct weir_row_block *block;
    WEIR_TRY(weir_alloc(store->account, sizeof *block + capacity, &block, reterr));
    block->next = NULL;
    block->capacity = capacity;
    block->used = 0;
    if (store->last)
        store->last->next = block;
    else
        store->first = block;
    store->last = block;
    return WEIR_OK;
}

weir_status weir_row_store_add(struct weir_row_store *store, uint32_t size, uint8_t **ret_row,
                               struct weir_error *reterr)
{
    if (!store->last || size > store->last->capacity - store->last->used)
        WEIR_TRY(store_grow(store, size, reterr));
    *ret_row = store->last->data + store->last->used;
    store->last->used += size;
    store->row_count++;
    store->byte_count += size;
    return WEIR_OK;
}

weir_status weir_row_store_add_all(struct weir_row_store *store, const uint32_t *sizes,
                                   uint32_t count, uint8_t **ret_rows, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < count;) {
        struct weir_row_block *block = store->last;
        size_t left = block ? block->capacity - block->used : 0, used = 0;
        uint32_t first = i;
        for (; i < count && used + sizes[i] <= left; i++) {
            ret_rows[i] = block->data + block->used + used;
            used += sizes[i];
        }
        if (block)
            block->used += used;
        store->row_count += i - first;
        store->byte_count += used;
        if (i < count)
            WEIR_TRY(store_grow(store, sizes[i], reterr));
    }
    return WEIR_OK;
}

uint8_t *weir_row_store_next(const struct weir_row_store *store,
                             const struct weir_row_layout *layout, struct weir_row_cursor *cursor)
{
    if (!cursor->started) {
        cursor->started = true;
        cursor->block = store->first;
        cursor->at = 0;
    }
    while (cursor->block && cursor->at == cursor->block->used) {
        cursor->block = cursor->block->next;
        cursor->at = 0;
    }
    if (!cursor->block)
        return NULL;
    uint8_t *row = (uint8_t *)(uintptr_t)cursor->block->data + cursor->at;
    cursor->at += weir_row_size(layout, row);
    return row;
}
