/* The probe side of a join: a step that looks its batches up in the finished build side, or, when
 * that went to a file, writes them to one too, to be joined afterwards (join_remainder.c). */
#include "engine/exec/join_int.h"

struct probe {
    struct exec_step step;
    struct join *join;
    struct weir_arena arena;
    struct weir_row_layout layout; /* of probe rows in the file */
    struct join_file file;
};

struct probe_local {
    struct join_cursor cursor;
    struct weir_arena arena; /* of one batch of output */
    struct weir_row_store store;
    size_t morsel;
    uint32_t sequence;
};

static weir_status probe_begin(struct exec_step *opaque, size_t morsel, void **ret_local,
                               struct weir_error *reterr)
{
    struct probe *probe = (struct probe *)opaque;
    struct probe_local *local;
    WEIR_TRY(weir_alloc_zero(opaque->exec->account, 1, sizeof *local, &local, reterr));
    join_cursor_init(&local->cursor, probe->join, &probe->join->table);
    weir_arena_init(&local->arena, opaque->exec->account);
    weir_row_store_init(&local->store, opaque->exec->account);
    local->morsel = morsel;
    *ret_local = local;
    return WEIR_OK;
}

static void probe_end(struct exec_step *opaque, void *opaque_local)
{
    struct probe_local *local = opaque_local;
    if (!local)
        return;
    join_cursor_done(&local->cursor);
    weir_arena_done(&local->arena);
    weir_row_store_done(&local->store);
    weir_free(local);
}

/* Probe rows for the file, by the partition of their keys. */
static weir_status keep_batch(struct probe *probe, struct probe_local *local,
                              const struct weir_batch *batch, struct weir_error *reterr)
{
    struct join *join = probe->join;
    struct weir_arena *arena = &local->arena;
    struct join_keys keys;
    uint32_t *sizes;
    uint8_t **places;
    weir_arena_reset(arena);
    WEIR_TRY(join_keys_make(join, probe->step.operator->left_keys, batch, arena, &keys, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (batch->count + 1) * sizeof *sizes, &sizes, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (batch->count + 1) * sizeof *places, &places, reterr));
    WEIR_TRY(weir_rows_size(&probe->layout, batch->columns, NULL, batch->count, sizes, reterr));
    WEIR_TRY(weir_row_store_add_all(&local->store, sizes, batch->count, places, reterr));
    weir_rows_write(&probe->layout, batch->columns, NULL, batch->count, places);
    for (uint32_t i = 0; i < batch->count; i++) {
        join_row(places[i])->hash = keys.hashes[i];
        atomic_init(&join_row(places[i])->next, 0);
    }
    if (local->store.byte_count < join_flush_bytes(probe->step.exec))
        return WEIR_OK;
    return join_file_write(&probe->file, &local->store, local->morsel, &local->sequence, reterr);
}

static weir_status probe_batch(struct exec_step *opaque, void *opaque_local,
                               const struct weir_batch *batch, struct exec_chain *next,
                               struct weir_error *reterr)
{
    struct probe *probe = (struct probe *)opaque;
    struct probe_local *local = opaque_local;
    if (atomic_load_explicit(&probe->join->spilling, memory_order_relaxed))
        return keep_batch(probe, local, batch, reterr);
    WEIR_TRY(join_cursor_start(&local->cursor, batch, NULL, true, reterr));
    while (true) {
        struct weir_batch out = {0};
        weir_arena_reset(&local->arena);
        WEIR_TRY(join_cursor_next(&local->cursor, &local->arena, &out, reterr));
        if (!out.count || atomic_load_explicit(&opaque->exec->enough, memory_order_relaxed))
            return WEIR_OK;
        WEIR_TRY(weir_context_check(opaque->exec->context, reterr));
        WEIR_TRY(exec_push(next, &out, reterr));
    }
}

static weir_status probe_finish(struct exec_step *opaque, void *opaque_local,
                                struct exec_chain *next, struct weir_error *reterr)
{
    struct probe *probe = (struct probe *)opaque;
    struct probe_local *local = opaque_local;
    return join_file_write(&probe->file, &local->store, local->morsel, &local->sequence, reterr);
}

static weir_status probe_remainder(struct exec_step *opaque, struct exec_source **ret_source,
                                   struct weir_error *reterr)
{
    struct probe *probe = (struct probe *)opaque;
    struct join *join = probe->join;
    *ret_source = NULL;
    if (atomic_load(&join->spilling)) {
        WEIR_TRY(join_file_finish(&probe->file, reterr));
        return join_remainder_new(join, &probe->file, ret_source, reterr);
    }
    if (join->marks_build && join->table.row_count)
        return join_remainder_new(join, NULL, ret_source, reterr);
    return WEIR_OK;
}

static void probe_free(struct exec_step *opaque)
{
    struct probe *probe = (struct probe *)opaque;
    if (!probe)
        return;
    join_file_done(&probe->file);
    weir_arena_done(&probe->arena);
    weir_free(probe);
}

static const struct exec_step_operations probe_operations = {.begin = probe_begin,
                                                             .batch = probe_batch,
                                                             .finish = probe_finish,
                                                             .end = probe_end,
                                                             .remainder = probe_remainder,
                                                             .free = probe_free};

weir_status exec_join_probe_new(struct exec *exec, struct weir_operator *operator,
                                struct exec_sink * build, struct exec_step **ret_step,
                                struct weir_error *reterr)
{
    struct join *join = (struct join *)build;
    struct probe *probe;
    weir_status status;
    struct weir_type *types;
    WEIR_TRY(weir_alloc_zero(exec->account, 1, sizeof *probe, &probe, reterr));
    probe->step = (struct exec_step){
        .operations = &probe_operations, .exec = exec, .operator= operator};
    probe->join = join;
    weir_arena_init(&probe->arena, exec->account);
    WEIR_TRY_OUT(status, weir_arena_zero(&probe->arena, join->left_count + 1, sizeof *types, &types,
                                         reterr));
    for (uint32_t c = 0; c < join->left_count; c++)
        types[c] = operator->children[0]->type.children[c].type;
    WEIR_TRY_OUT(status,
                 weir_row_layout_init(&probe->arena, types, join->left_count,
                                      sizeof(struct join_row), false, &probe->layout, reterr));
    join_file_init(&probe->file, exec, operator, & probe->layout, join->file.partition_count);
    *ret_step = &probe->step;
    return WEIR_OK;
out:
    probe_free(&probe->step);
    return status;
}
