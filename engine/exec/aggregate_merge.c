/* Pieces on their way from morsels into partitions, in order of morsels. */
#include "engine/exec/aggregate_int.h"

#include <time.h>

#define WAIT_NANOSECONDS 200000
#define SPILL_WORTH      (48u << 10) /* bytes of a partition below which a file would not help */

/* ---- pieces ---- */

static void piece_free(struct aggregate_piece *piece)
{
    if (!piece)
        return;
    weir_row_store_done(&piece->store);
    weir_arena_done(piece->arena);
    weir_free(piece->arena);
    weir_free(piece->rows);
    weir_free(piece);
}

void aggregate_pieces_done(struct aggregate *aggregate)
{
    for (size_t m = 0; m < aggregate->morsel_count; m++) {
        for (uint32_t i = 0; i < aggregate->morsels[m].count; i++)
            piece_free(aggregate->morsels[m].pieces[i]);
        weir_free(aggregate->morsels[m].pieces);
    }
    weir_free(aggregate->morsels);
    aggregate->morsels = NULL;
    aggregate->morsel_count = 0;
}

/* Rows by partition, in order within each. */
static void piece_sort(const struct aggregate *aggregate, struct aggregate_piece *piece)
{
    uint32_t at[AGGREGATE_PARTITIONS] = {0};
    struct weir_row_cursor cursor = {0};
    uint8_t *row;
    while ((row = weir_row_store_next(&piece->store, &aggregate->layout, &cursor)))
        at[hash_partition(group_hash(row))]++;
    piece->starts[0] = 0;
    for (uint32_t p = 0; p < AGGREGATE_PARTITIONS; p++) {
        piece->starts[p + 1] = piece->starts[p] + at[p];
        at[p] = piece->starts[p];
    }
    cursor = (struct weir_row_cursor){0};
    while ((row = weir_row_store_next(&piece->store, &aggregate->layout, &cursor)))
        piece->rows[at[hash_partition(group_hash(row))]++] = row;
}

static weir_status piece_new(struct aggregate *aggregate, struct groups *groups,
                             struct aggregate_piece **ret_piece, struct weir_error *reterr)
{
    struct weir_account *account = aggregate->sink.exec->account;
    struct aggregate_piece *piece;
    struct groups fresh = {0};
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *piece, &piece, reterr));
    weir_status status = weir_alloc(account, (groups->store.row_count + 1) * sizeof *piece->rows,
                                    &piece->rows, reterr);
    if (status == WEIR_OK)
        status = groups_init(&fresh, account, reterr);
    if (status != WEIR_OK) {
        weir_free(piece->rows);
        weir_free(piece);
        return status;
    }
    piece->store = groups->store;
    piece->arena = groups->arena;
    piece_sort(aggregate, piece);
    atomic_init(&piece->left, AGGREGATE_PARTITIONS);
    if (groups->slots)
        memset(groups->slots, 0, (size_t)groups->slot_count * sizeof *groups->slots);
    fresh.slots = groups->slots;
    fresh.slot_count = groups->slot_count;
    *groups = fresh;
    *ret_piece = piece;
    return WEIR_OK;
}

/* The lock is held. */
static weir_status morsel_reserve(struct aggregate *aggregate, size_t morsel,
                                  struct weir_error *reterr)
{
    struct weir_account *account = aggregate->sink.exec->account;
    if (morsel >= aggregate->morsel_count) {
        size_t count = (morsel + 8) * 2;
        WEIR_TRY(
            weir_realloc(&aggregate->morsels, account, count * sizeof *aggregate->morsels, reterr));
        memset(aggregate->morsels + aggregate->morsel_count, 0,
               (count - aggregate->morsel_count) * sizeof *aggregate->morsels);
        aggregate->morsel_count = count;
    }
    struct aggregate_morsel *entry = &aggregate->morsels[morsel];
    if (entry->count == entry->capacity) {
        uint32_t capacity = entry->capacity ? entry->capacity * 2 : 2;
        WEIR_TRY(weir_realloc(&entry->pieces, account, capacity * sizeof *entry->pieces, reterr));
        entry->capacity = capacity;
    }
    return WEIR_OK;
}

/* ---- partitions ---- */

/* The piece the partition has to take next; NULL: it is not there yet (`final`: there is none). */
static struct aggregate_piece *next_piece(struct aggregate *aggregate,
                                          struct aggregate_partition *partition, bool final)
{
    struct aggregate_piece *piece = NULL;
    pthread_mutex_lock(&aggregate->lock);
    while (partition->morsel < aggregate->morsel_count) {
        struct aggregate_morsel *morsel = &aggregate->morsels[partition->morsel];
        if (partition->piece < morsel->count) {
            piece = morsel->pieces[partition->piece];
            break;
        }
        if (!morsel->whole && !final)
            break;
        partition->morsel++;
        partition->piece = 0;
    }
    pthread_mutex_unlock(&aggregate->lock);
    return piece;
}

static void piece_taken(struct aggregate *aggregate, struct aggregate_partition *partition,
                        struct aggregate_piece *piece)
{
    bool last = atomic_fetch_sub(&piece->left, 1) == 1;
    if (last) {
        pthread_mutex_lock(&aggregate->lock);
        aggregate->morsels[partition->morsel].pieces[partition->piece] = NULL;
        pthread_mutex_unlock(&aggregate->lock);
        piece_free(piece);
    }
    partition->piece++;
}

static weir_status take_piece(struct aggregate *aggregate, uint32_t number,
                              const struct aggregate_piece *piece, struct weir_error *reterr)
{
    struct aggregate_partition *partition = &aggregate->partitions[number];
    uint8_t *const *rows = piece->rows + piece->starts[number];
    uint32_t count = piece->starts[number + 1] - piece->starts[number];
    if (!count)
        return WEIR_OK;
    if (partition->file)
        return aggregate_spill_rows(aggregate, partition->file, rows, count, reterr);
    if (!partition->groups.arena)
        WEIR_TRY(groups_init(&partition->groups, aggregate->sink.exec->account, reterr));
    WEIR_TRY(groups_merge(aggregate, &partition->groups, rows, count, reterr));
    if (!aggregate->key_count || !exec_should_spill(aggregate->sink.exec))
        return WEIR_OK;
    uint64_t bytes = partition->groups.store.byte_count + partition->groups.arena->used;
    return bytes < SPILL_WORTH ? WEIR_OK : aggregate_spill_partition(aggregate, partition, reterr);
}

/* The partition's lock is held. */
static weir_status drain(struct aggregate *aggregate, uint32_t number, bool final,
                         struct weir_error *reterr)
{
    struct aggregate_partition *partition = &aggregate->partitions[number];
    struct aggregate_piece *piece;
    while ((piece = next_piece(aggregate, partition, final))) {
        WEIR_TRY(weir_context_check(aggregate->sink.exec->context, reterr));
        WEIR_TRY(take_piece(aggregate, number, piece, reterr));
        piece_taken(aggregate, partition, piece);
    }
    return WEIR_OK;
}

/* Partitions another thread is at are left to it, or to a later call. */
static weir_status drain_free(struct aggregate *aggregate, size_t morsel, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < AGGREGATE_PARTITIONS; i++) {
        uint32_t number = (uint32_t)(i + morsel * 23) % AGGREGATE_PARTITIONS;
        if (pthread_mutex_trylock(&aggregate->partitions[number].lock) != 0)
            continue;
        weir_status status = drain(aggregate, number, false, reterr);
        pthread_mutex_unlock(&aggregate->partitions[number].lock);
        WEIR_TRY(status);
    }
    return WEIR_OK;
}

/* Pieces of later morsels cannot be merged before those of earlier ones, so that with memory short
 * a thread that is ahead waits. Morsels are begun in order: the first one is never the one waiting.
 */
static weir_status wait_for_turn(struct aggregate *aggregate, size_t morsel,
                                 struct weir_error *reterr)
{
    struct exec *exec = aggregate->sink.exec;
    while (exec_should_spill(exec) && !atomic_load(&aggregate->abandoned) &&
           !atomic_load(&exec->enough)) {
        pthread_mutex_lock(&aggregate->lock);
        bool first = aggregate->head >= morsel;
        pthread_mutex_unlock(&aggregate->lock);
        if (first)
            break;
        WEIR_TRY(weir_context_check(exec->context, reterr));
        nanosleep(&(struct timespec){.tv_nsec = WAIT_NANOSECONDS}, NULL);
    }
    return WEIR_OK;
}

weir_status aggregate_hand_over(struct aggregate *aggregate, size_t morsel, struct groups *groups,
                                struct weir_error *reterr)
{
    struct aggregate_piece *piece;
    if (groups->store.row_count == 0)
        return WEIR_OK;
    WEIR_TRY(piece_new(aggregate, groups, &piece, reterr));
    pthread_mutex_lock(&aggregate->lock);
    weir_status status = morsel_reserve(aggregate, morsel, reterr);
    if (status == WEIR_OK) {
        struct aggregate_morsel *entry = &aggregate->morsels[morsel];
        entry->pieces[entry->count++] = piece;
    }
    pthread_mutex_unlock(&aggregate->lock);
    if (status != WEIR_OK) {
        piece_free(piece);
        return status;
    }
    WEIR_TRY(drain_free(aggregate, morsel, reterr));
    return wait_for_turn(aggregate, morsel, reterr);
}

weir_status aggregate_morsel_done(struct aggregate *aggregate, size_t morsel,
                                  struct weir_error *reterr)
{
    pthread_mutex_lock(&aggregate->lock);
    weir_status status = morsel_reserve(aggregate, morsel, reterr);
    if (status == WEIR_OK)
        aggregate->morsels[morsel].whole = true;
    while (aggregate->head < aggregate->morsel_count && aggregate->morsels[aggregate->head].whole)
        aggregate->head++;
    pthread_mutex_unlock(&aggregate->lock);
    WEIR_TRY(status);
    return drain_free(aggregate, morsel, reterr);
}

static weir_status drain_rest(void *argument, size_t index, struct weir_error *reterr)
{
    return drain(argument, (uint32_t)index, true, reterr);
}

weir_status aggregate_merge_all(struct aggregate *aggregate, struct weir_error *reterr)
{
    return weir_parallel(aggregate->sink.exec->context, AGGREGATE_PARTITIONS, drain_rest, aggregate,
                         reterr);
}
