/* The table of groups: open addressing over rows of bytes. */
#include "engine/exec/aggregate_int.h"

#define SLOTS_FIRST  256
#define MERGE_CHUNK  1024
#define ADDRESS_MASK ((1ull << 48) - 1)
#define PREFETCH     8

weir_status groups_init(struct groups *groups, struct weir_account *account,
                        struct weir_error *reterr)
{
    struct weir_arena *arena;
    WEIR_TRY(weir_alloc(account, sizeof *arena, &arena, reterr));
    weir_arena_init(arena, account);
    *groups = (struct groups){.arena = arena, .memory = {.arena = arena}};
    weir_row_store_init(&groups->store, account);
    return WEIR_OK;
}

void groups_done(struct groups *groups)
{
    weir_free(groups->slots);
    weir_row_store_done(&groups->store);
    weir_arena_done(groups->arena);
    weir_free(groups->arena);
    *groups = (struct groups){0};
}

static inline uint64_t slot_of(uint64_t hash, const uint8_t *row)
{
    return hash >> 48 << 48 | (uint64_t)(uintptr_t)row;
}

/* Room for `more` groups besides those there are, at most half full. */
static weir_status groups_reserve(struct groups *groups, uint32_t more, struct weir_error *reterr)
{
    uint64_t wanted = ((uint64_t)groups->count + more) * 2, size = SLOTS_FIRST;
    uint64_t *slots;
    if (wanted <= groups->slot_count)
        return WEIR_OK;
    while (size < wanted)
        size *= 2;
    if (size > UINT32_MAX)
        return weir_fail(reterr, WEIR_NO_MEMORY, "more than %u groups in one table", groups->count);
    WEIR_TRY(weir_alloc_zero(groups->store.account, size, sizeof *slots, &slots, reterr));
    for (uint32_t i = 0; i < groups->slot_count; i++) {
        if (!groups->slots[i])
            continue;
        uint64_t at = group_hash((const uint8_t *)(uintptr_t)(groups->slots[i] & ADDRESS_MASK));
        for (at &= size - 1; slots[at]; at = (at + 1) & (size - 1))
            ;
        slots[at] = groups->slots[i];
    }
    weir_free(groups->slots);
    groups->slots = slots;
    groups->slot_count = (uint32_t)size;
    return WEIR_OK;
}

/* ---- keys ---- */

static void hash_keys(const struct weir_row_layout *layout, struct aggregate_keys *keys)
{
    uint32_t offset = layout->key_offset;
    if (!layout->variable) {
        uint32_t words = (layout->fixed_size - offset) / 8;
        for (uint32_t i = 0; i < keys->count; i++)
            keys->hashes[i] = hash_words(keys->places[i] + offset, words);
        return;
    }
    for (uint32_t i = 0; i < keys->count; i++)
        keys->hashes[i] = hash_words(keys->places[i] + offset, (keys->sizes[i] - offset) / 8);
}

weir_status aggregate_keys_make(const struct aggregate *aggregate, const struct weir_vector *keys,
                                const uint32_t *rows, uint32_t count, struct weir_arena *arena,
                                struct aggregate_keys *ret_keys, struct weir_error *reterr)
{
    const struct weir_row_layout *layout = &aggregate->layout;
    struct aggregate_keys made = {.count = count};
    uint8_t *bytes;
    size_t total = layout->header_size;
    size_t room = (size_t)count + 1;
    WEIR_TRY(weir_arena_alloc(arena, room * sizeof *made.sizes, &made.sizes, reterr));
    WEIR_TRY(weir_arena_alloc(arena, room * sizeof *made.places, &made.places, reterr));
    WEIR_TRY(weir_arena_alloc(arena, room * sizeof *made.hashes, &made.hashes, reterr));
    WEIR_TRY(weir_rows_size(layout, keys, rows, count, made.sizes, reterr));
    for (uint32_t i = 0; i < count; i++)
        total += made.sizes[i] - layout->header_size;
    WEIR_TRY(weir_arena_alloc(arena, total + 8, &bytes, reterr));
    /* Keys lie side by side: where a row's header would be, there is the key before it. */
    for (uint32_t i = 0; i < count; i++) {
        made.places[i] = bytes;
        bytes += made.sizes[i] - layout->header_size;
    }
    weir_rows_write(layout, keys, rows, count, made.places);
    hash_keys(layout, &made);
    *ret_keys = made;
    return WEIR_OK;
}

/* ---- finding ---- */

static inline __attribute__((always_inline)) bool words_equal(const uint8_t *a, const uint8_t *b,
                                                              uint32_t words)
{
    uint64_t x[3], y[3], differs = 0;
    memcpy(x, a, words * 8);
    memcpy(y, b, words * 8);
    for (uint32_t i = 0; i < words; i++)
        differs |= x[i] ^ y[i];
    return differs == 0;
}

/* words: of a key, if 1 to 3 and the same for all; else 0. */
static inline __attribute__((always_inline)) bool keys_equal(const struct weir_row_layout *layout,
                                                             const uint8_t *a, const uint8_t *b,
                                                             uint32_t words)
{
    if (words)
        return words_equal(a + layout->key_offset, b + layout->key_offset, words);
    return weir_rows_equal(layout, a, b);
}

/* What the first slot looked at will lead to, most of the time. */
static inline void prefetch_row(uint64_t slot)
{
    __builtin_prefetch((const void *)(uintptr_t)(slot & ADDRESS_MASK));
}

/* The slot that holds the key, or the empty one where it belongs. */
static inline __attribute__((always_inline)) uint64_t *find_slot(
    const struct weir_row_layout *layout, struct groups *groups, uint64_t hash, const uint8_t *row,
    uint32_t words)
{
    uint64_t mask = groups->slot_count - 1, at = hash & mask;
    for (;; at = (at + 1) & mask) {
        uint64_t slot = groups->slots[at];
        if (!slot)
            return &groups->slots[at];
        if ((slot ^ hash) >> 48 == 0 &&
            keys_equal(layout, (const uint8_t *)(uintptr_t)(slot & ADDRESS_MASK), row, words))
            return &groups->slots[at];
    }
}

static weir_status new_group(const struct aggregate *aggregate, struct groups *groups,
                             const uint8_t *key, uint32_t size, uint64_t hash, uint64_t *slot,
                             struct weir_error *reterr)
{
    const struct weir_row_layout *layout = &aggregate->layout;
    uint8_t *row;
    WEIR_TRY(weir_row_store_add(&groups->store, size, &row, reterr));
    memcpy(row, aggregate->header, layout->header_size);
    memcpy(row, &hash, sizeof hash);
    memcpy(row + layout->key_offset, key + layout->key_offset, size - layout->key_offset);
    *slot = slot_of(hash, row);
    groups->count++;
    return WEIR_OK;
}

static inline __attribute__((always_inline)) weir_status find_all(
    const struct aggregate *aggregate, struct groups *groups, const struct aggregate_keys *keys,
    uint8_t **ret_rows, uint32_t words, struct weir_error *reterr)
{
    uint64_t mask = groups->slot_count - 1;
    for (uint32_t i = 0; i < keys->count; i++) {
        if (i + 2 * PREFETCH < keys->count)
            __builtin_prefetch(&groups->slots[keys->hashes[i + 2 * PREFETCH] & mask]);
        if (i + PREFETCH < keys->count)
            prefetch_row(groups->slots[keys->hashes[i + PREFETCH] & mask]);
        uint64_t *slot = find_slot(&aggregate->layout, groups, keys->hashes[i], keys->places[i],
                                   words);
        if (!*slot)
            WEIR_TRY(new_group(aggregate, groups, keys->places[i], keys->sizes[i], keys->hashes[i],
                               slot, reterr));
        ret_rows[i] = (uint8_t *)(uintptr_t)(*slot & ADDRESS_MASK);
    }
    return WEIR_OK;
}

static uint32_t short_words(const struct weir_row_layout *layout)
{
    uint32_t words = (layout->fixed_size - layout->key_offset) / 8;
    return layout->variable || words > 3 ? 0 : words;
}

weir_status groups_find(const struct aggregate *aggregate, struct groups *groups,
                        const struct aggregate_keys *keys, uint8_t **ret_rows,
                        struct weir_error *reterr)
{
    WEIR_TRY(groups_reserve(groups, keys->count, reterr));
    switch (short_words(&aggregate->layout)) {
    case 1: return find_all(aggregate, groups, keys, ret_rows, 1, reterr);
    case 2: return find_all(aggregate, groups, keys, ret_rows, 2, reterr);
    case 3: return find_all(aggregate, groups, keys, ret_rows, 3, reterr);
    default: return find_all(aggregate, groups, keys, ret_rows, 0, reterr);
    }
}

weir_status groups_append(const struct aggregate *aggregate, struct groups *groups,
                          const struct weir_vector *keys, uint32_t count,
                          struct weir_arena *scratch, uint8_t **ret_rows, struct weir_error *reterr)
{
    const struct weir_row_layout *layout = &aggregate->layout;
    struct aggregate_keys made = {.count = count, .places = ret_rows};
    size_t room = (size_t)count + 1;
    WEIR_TRY(weir_arena_alloc(scratch, room * sizeof *made.sizes, &made.sizes, reterr));
    WEIR_TRY(weir_arena_alloc(scratch, room * sizeof *made.hashes, &made.hashes, reterr));
    WEIR_TRY(weir_rows_size(layout, keys, NULL, count, made.sizes, reterr));
    WEIR_TRY(weir_row_store_add_all(&groups->store, made.sizes, count, ret_rows, reterr));
    weir_rows_write(layout, keys, NULL, count, ret_rows);
    hash_keys(layout, &made);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(ret_rows[i], aggregate->header, layout->header_size);
        memcpy(ret_rows[i], &made.hashes[i], sizeof made.hashes[i]);
    }
    groups->count += count;
    return WEIR_OK;
}

/* ---- merging ---- */

/* Pairs of groups that are one: from[i] goes into into[i]. */
struct pairs {
    uint8_t *into[MERGE_CHUNK], *from[MERGE_CHUNK];
    uint32_t count;
};

static inline __attribute__((always_inline)) weir_status merge_chunk(
    const struct aggregate *aggregate, struct groups *groups, uint8_t *const *rows, uint32_t count,
    struct pairs *pairs, uint32_t words, struct weir_error *reterr)
{
    const struct weir_row_layout *layout = &aggregate->layout;
    uint64_t mask = groups->slot_count - 1;
    for (uint32_t i = 0; i < count; i++) {
        if (i + 3 * PREFETCH < count)
            __builtin_prefetch(rows[i + 3 * PREFETCH]);
        if (i + 2 * PREFETCH < count)
            __builtin_prefetch(&groups->slots[group_hash(rows[i + 2 * PREFETCH]) & mask]);
        if (i + PREFETCH < count)
            prefetch_row(groups->slots[group_hash(rows[i + PREFETCH]) & mask]);
        uint64_t hash = group_hash(rows[i]);
        uint64_t *slot = find_slot(layout, groups, hash, rows[i], words);
        bool fresh = !*slot;
        if (fresh)
            WEIR_TRY(new_group(aggregate, groups, rows[i], weir_row_size(layout, rows[i]), hash,
                               slot, reterr));
        uint8_t *row = (uint8_t *)(uintptr_t)(*slot & ADDRESS_MASK);
        if (fresh && aggregate->plain) {
            memcpy(row, rows[i], layout->header_size);
            continue;
        }
        pairs->into[pairs->count] = row;
        pairs->from[pairs->count++] = rows[i];
    }
    return WEIR_OK;
}

static weir_status combine_pairs(const struct aggregate *aggregate, struct groups *groups,
                                 const struct pairs *pairs, struct weir_error *reterr)
{
    if (!pairs->count)
        return WEIR_OK;
    for (uint32_t c = 0; c < aggregate->call_count; c++) {
        const struct aggregate_call *call = &aggregate->calls[c];
        WEIR_TRY(call->call.function->combine(&call->call, &groups->memory, pairs->into,
                                              pairs->from, pairs->count, call->offset, reterr));
    }
    return WEIR_OK;
}

weir_status groups_merge(const struct aggregate *aggregate, struct groups *groups,
                         uint8_t *const *rows, uint32_t count, struct weir_error *reterr)
{
    struct pairs pairs;
    uint32_t words = short_words(&aggregate->layout);
    for (uint32_t first = 0; first < count; first += MERGE_CHUNK) {
        uint32_t here = count - first < MERGE_CHUNK ? count - first : MERGE_CHUNK;
        pairs.count = 0;
        WEIR_TRY(groups_reserve(groups, here, reterr));
        WEIR_TRY(words == 2
                     ? merge_chunk(aggregate, groups, rows + first, here, &pairs, 2, reterr)
                     : merge_chunk(aggregate, groups, rows + first, here, &pairs, 0, reterr));
        WEIR_TRY(combine_pairs(aggregate, groups, &pairs, reterr));
    }
    return WEIR_OK;
}
