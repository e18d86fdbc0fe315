/* What was written is read once more: its rows' hash must be that of the rows that were read, or
 * nothing is committed. It finds what an encoder, memory or a store may do to bytes. */
#include "scheduler/upkeep/compact_int.h"

#include "engine/base/limits.h"
#include "formats/parquet/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct object {
    const struct weir_object_store *store;
    const char *name;
};

static weir_status object_read(void *self, uint64_t offset, uint64_t size, struct weir_buffer *out,
                               struct weir_error *reterr)
{
    struct object *object = self;
    return object->store->operations->get(object->store->self, object->name, offset, size, out,
                                          NULL, reterr);
}

/* What is added up: one of them. */
struct sum {
    struct compact_digest *order;
    struct weir_row_hash *hash;
};

static weir_status add_batches(struct weir_parquet_cursor *cursor, struct weir_arena *arena,
                               const struct sum *sum, struct weir_error *reterr)
{
    for (;;) {
        struct weir_batch batch, flat;
        bool end;
        weir_arena_reset(arena);
        WEIR_TRY(weir_parquet_cursor_next(cursor, arena, &batch, &end, reterr));
        if (end)
            return WEIR_OK;
        WEIR_TRY(weir_batch_as_flat(arena, &batch, &flat, reterr));
        WEIR_TRY(sum->order ? compact_digest_add(sum->order, &flat, reterr)
                            : weir_row_hash_add(sum->hash, &flat, NULL, arena, reterr));
    }
}

static weir_status add_groups(struct compaction *compaction, const struct weir_parquet_file *file,
                              const struct sum *sum, struct weir_error *reterr)
{
    struct weir_context *context = compaction->lake->context;
    struct weir_parquet_read read = {.wanted = &compaction->shape.write};
    struct weir_arena arena;
    weir_status status = weir_parquet_pool_new(&context->memory, &read.pool, reterr);
    weir_arena_init(&arena, &context->memory);
    for (size_t g = 0; status == WEIR_OK && g < weir_parquet_file_group_count(file); g++) {
        struct weir_parquet_cursor *cursor = NULL;
        status = weir_parquet_cursor_open(&context->memory, file, g, &read, &cursor, reterr);
        if (status == WEIR_OK && cursor)
            status = add_batches(cursor, &arena, sum, reterr);
        weir_parquet_cursor_free(cursor);
        if (status == WEIR_OK)
            status = weir_context_check(context, reterr);
    }
    weir_arena_done(&arena);
    weir_parquet_pool_free(read.pool);
    return status;
}

static weir_status read_file(struct compaction *compaction, const struct weir_data_file *file,
                             const struct sum *sum, struct weir_error *reterr)
{
    const struct weir_object_store *store = &compaction->lake->store;
    struct object object = {store, weir_store_name(store, file->path)};
    struct weir_parquet_file *parquet;
    WEIR_TRY(weir_parquet_file_open(&compaction->lake->context->memory,
                                    (struct weir_parquet_source){.read = object_read,
                                                                 .self = &object,
                                                                 .size = (uint64_t)file->file_size},
                                    &parquet, reterr));
    weir_status status = add_groups(compaction, parquet, sum, reterr);
    weir_parquet_file_free(parquet);
    return status;
}

static weir_status read_files(struct compaction *compaction, const struct compact_written *written,
                              const struct sum *sum, struct weir_error *reterr)
{
    for (size_t i = 0; i < written->files.count; i++) {
        const struct weir_data_file *file = &written->files.files[i];
        weir_status status = read_file(compaction, file, sum, reterr);
        if (status != WEIR_OK) {
            weir_error_prefix(reterr, "reading %.300s back", file->path);
            return status;
        }
    }
    return WEIR_OK;
}

/* The rows in the order in which they were written, when they have one: the same digest, the same
 * rows. Otherwise, and when it differs, their hash tells. */
weir_status compact_check_read(struct compaction *compaction, struct compact_written *written,
                               struct weir_error *reterr)
{
    struct compact_digest *order = NULL;
    bool same = false;
    weir_status status = WEIR_OK;
    if (written->order)
        status = compact_digest_new(&compaction->lake->context->memory, &compaction->shape.write,
                                    &order, reterr);
    if (status == WEIR_OK && order)
        status = read_files(compaction, written, &(struct sum){.order = order}, reterr);
    if (status == WEIR_OK && order)
        same = compact_digest_same(order, written->order);
    compact_digest_free(order);
    WEIR_TRY(status);
    if (same)
        written->again = written->files.hash;
    else
        WEIR_TRY(read_files(compaction, written, &(struct sum){.hash = &written->again}, reterr));
    if (getenv("WEIR_TEST_COMPACT_FLIP")) /* tests: a row is not what it was */
        written->again.low ^= 1;
    return WEIR_OK;
}

/* ---- lists ---- */

json_t *compact_list_read(const struct compact_group *groups, size_t count)
{
    json_t *list = json_array();
    for (size_t g = 0; g < count; g++)
        for (size_t i = 0; i < groups[g].count; i++) {
            const struct weir_data_file *file = &groups[g].files[i]->file;
            json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "path", file->path, "rows",
                                                  (json_int_t)file->record_count, "size",
                                                  (json_int_t)file->file_size));
        }
    return list;
}

json_t *compact_list_written(const struct compact_written *written, size_t count)
{
    json_t *list = json_array();
    for (size_t w = 0; w < count; w++)
        for (size_t i = 0; i < written[w].files.count; i++) {
            const struct weir_data_file *file = &written[w].files.files[i];
            json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:s}", "path", file->path,
                                                  "rows", (json_int_t)file->record_count, "size",
                                                  (json_int_t)file->file_size, "digest",
                                                  written[w].files.digests[i]));
        }
    return list;
}

static json_t *sum_json(const struct weir_row_hash *hash, json_t *files)
{
    char text[33];
    weir_row_hash_print(hash, text);
    return json_pack("{s:I, s:s, s:o}", "rows", (json_int_t)hash->count, "row_hash", text, "files",
                     files);
}

/* Best effort: that nothing was committed is what counts. */
static void keep_report(struct compaction *compaction, const struct compact_group *group,
                        const struct compact_written *written, char *ret_name, size_t size)
{
    const struct weir_metadata *metadata = compaction->table->metadata;
    json_t *report = json_pack("{s:s, s:s, s:I, s:s, s:I, s:o, s:o}", "table", compaction->name,
                               "uuid", weir_metadata_uuid(metadata), "snapshot",
                               (json_int_t)compaction->head, "run", compaction->lake->run_id,
                               "rows_in_files", (json_int_t)group->rows, "read",
                               sum_json(&written->read, compact_list_read(group, 1)), "written",
                               sum_json(&written->again, compact_list_written(written, 1)));
    char *text = json_dumps(report, JSON_INDENT(1) | JSON_SORT_KEYS);
    snprintf(ret_name, size, "_weir/compactions/%s/%019lld.json", weir_metadata_uuid(metadata),
             (long long)weir_snapshot_id(compaction->lake->context, metadata));
    if (!text || weir_put_own(compaction->lake, ret_name, text, strlen(text), NULL) != WEIR_OK)
        snprintf(ret_name, size, "(the lists could not be kept)");
    free(text);
    json_decref(report);
}

weir_status compact_check(struct compaction *compaction, const struct compact_group *group,
                          const struct compact_written *written, struct weir_error *reterr)
{
    const struct weir_row_hash *read = &written->read, *again = &written->again;
    bool same = read->low == again->low && read->high == again->high &&
                read->count == again->count && (int64_t)read->count == written->files.rows,
         whole = group->deletes ? (int64_t)read->count <= group->rows
                                : (int64_t)read->count == group->rows;
    char name[512], before[33], after[33];
    if (same && whole)
        return WEIR_OK;
    keep_report(compaction, group, written, name, sizeof name);
    weir_row_hash_print(read, before);
    weir_row_hash_print(again, after);
    weir_status status = weir_fail(
        reterr, WEIR_CORRUPT,
        "%s: compaction read %llu rows of %lld with hash %s, and what it wrote is %llu rows with "
        "hash %s: nothing is committed",
        compaction->name, (unsigned long long)read->count, (long long)group->rows, before,
        (unsigned long long)again->count, after);
    weir_error_hint(reterr,
                    "both lists of files: %s; weir verify %s --deep tells whether the old "
                    "ones are sound",
                    name, compaction->name);
    return status;
}
