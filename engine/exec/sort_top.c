/* TopN: rows that cannot be among the first ones are not even written down.
 *
 * Whenever a part has gathered `keep` records, the last of its first `keep` is a bound: a row above
 * it, by key and sequence, is not among the first of all. The lowest bound of all parts is shared.
 * It depends on what other threads did, but what it drops never belongs to the result. */
#include "engine/exec/sort_int.h"

static int bound_order(const struct weir_buffer *bound, uint64_t bound_sequence, const uint8_t *key,
                       uint32_t key_size, uint64_t sequence)
{
    uint32_t size = key_size < bound->size ? key_size : (uint32_t)bound->size;
    int order = size ? memcmp(key, bound->data, size) : 0;
    if (order)
        return order;
    return sequence < bound_sequence ? -1 : sequence > bound_sequence;
}

/* sort_prefix looks at 8 bytes of a shorter key, and wants zeros. */
static weir_status bound_set(struct weir_buffer *bound, const uint8_t *key, size_t size,
                             struct weir_error *reterr)
{
    weir_buffer_clear(bound);
    WEIR_TRY(weir_buffer_reserve(bound, size + 8, reterr));
    memset(bound->data, 0, 8);
    memcpy(bound->data, key, size);
    bound->size = size;
    return WEIR_OK;
}

static weir_status bound_look(struct sorter *sorter, struct sort_part *part,
                              struct weir_error *reterr)
{
    unsigned version = atomic_load_explicit(&sorter->bound_version, memory_order_acquire);
    if (version == part->bound_version)
        return WEIR_OK;
    pthread_mutex_lock(&sorter->lock);
    weir_status status = bound_set(&part->bound, sorter->bound.data, sorter->bound.size, reterr);
    part->bound_sequence = sorter->bound_sequence;
    part->bound_version = atomic_load(&sorter->bound_version);
    pthread_mutex_unlock(&sorter->lock);
    return status;
}

weir_status sort_top_filter(struct sorter *sorter, struct sort_part *part,
                            uint8_t *const *key_places, const uint32_t *key_sizes, uint32_t count,
                            uint32_t *ret_rows, uint32_t *ret_count, struct weir_error *reterr)
{
    uint64_t sequence = (uint64_t)part->morsel << SORT_SEQUENCE_BIT | part->row_next;
    uint32_t kept = 0;
    WEIR_TRY(bound_look(sorter, part, reterr));
    if (part->bound_version == 0) {
        for (uint32_t i = 0; i < count; i++)
            ret_rows[i] = i;
        *ret_count = count;
        return WEIR_OK;
    }
    uint64_t first = sort_prefix(part->bound.data, (uint32_t)part->bound.size, 0);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t prefix = sort_prefix(key_places[i], key_sizes[i], 0);
        if (prefix > first)
            continue;
        if (prefix < first || bound_order(&part->bound, part->bound_sequence, key_places[i],
                                          key_sizes[i], sequence + i) <= 0)
            ret_rows[kept++] = i;
    }
    *ret_count = kept;
    return WEIR_OK;
}

static weir_status bound_tell(struct sorter *sorter, const uint8_t *record,
                              struct weir_error *reterr)
{
    const struct sort_head *head = sort_head(record);
    const uint8_t *key = record + sorter->key_offset;
    if (atomic_load(&sorter->bound_version) &&
        bound_order(&sorter->bound, sorter->bound_sequence, key, head->key_size, head->sequence) >=
            0)
        return WEIR_OK;
    WEIR_TRY(bound_set(&sorter->bound, key, head->key_size, reterr));
    sorter->bound_sequence = head->sequence;
    atomic_fetch_add_explicit(&sorter->bound_version, 1, memory_order_release);
    return WEIR_OK;
}

static weir_status copy_records(const struct sort_entry *entries, uint64_t count,
                                struct weir_row_store *store, struct weir_error *reterr)
{
    uint8_t *record;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t size = sort_head(entries[i].record)->size;
        WEIR_TRY(weir_row_store_add(store, size, &record, reterr));
        memcpy(record, entries[i].record, size);
    }
    return WEIR_OK;
}

weir_status sort_top_cut(struct sorter *sorter, struct sort_part *parts, bool locked,
                         struct weir_error *reterr)
{
    struct sort_entry *entries = NULL;
    struct weir_row_store store;
    uint64_t count = 0;
    weir_status status;
    weir_row_store_init(&store, sorter->exec->account);
    WEIR_TRY_OUT(status, sort_parts(sorter, parts, 0, false, &entries, &count, reterr));
    if (count < sorter->keep || count == 0)
        goto out;
    WEIR_TRY_OUT(status, copy_records(entries, sorter->keep, &store, reterr));
    if (!locked)
        pthread_mutex_lock(&sorter->lock);
    status = sorter->keep ? bound_tell(sorter, entries[sorter->keep - 1].record, reterr) : WEIR_OK;
    if (!locked)
        pthread_mutex_unlock(&sorter->lock);
    for (struct sort_part *part = parts; part; part = part->next) {
        weir_row_store_done(&part->store);
    }
    parts->store = store;
    weir_row_store_init(&store, sorter->exec->account);
out:
    weir_row_store_done(&store);
    weir_free(entries);
    return status;
}
