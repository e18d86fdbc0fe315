/* Table files on their way to the store. */
#include "scheduler/window/output.h"

#include "scheduler/commit/state.h"

#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FILES_MAX 100000

struct output {
    struct output_options options;
    struct weir_arena *arena;
    struct weir_parquet_writer *writer;
    struct weir_upload *upload;
    XXH3_state_t *hash;
    char *path;
    struct weir_data_file *files;
    char (*digests)[33];
    size_t count, capacity;
};

static weir_status sink_write(void *self, const void *data, size_t size, struct weir_error *reterr)
{
    struct output *output = self;
    const struct weir_object_store *store = &output->options.lake->store;
    XXH3_128bits_update(output->hash, data, size);
    return store->operations->upload_write(output->upload, data, size, reterr);
}

weir_status output_new(struct weir_arena *arena, const struct output_options *options,
                       struct output **ret_output, struct weir_error *reterr)
{
    struct output *output;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *output, &output, reterr));
    output->options = *options;
    output->arena = arena;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof(XXH3_state_t) + 64, &output->hash, reterr));
    output->hash = (XXH3_state_t *)(((uintptr_t)output->hash + 63) / 64 * 64);
    *ret_output = output;
    return WEIR_OK;
}

static weir_status open_file(struct output *output, struct weir_error *reterr)
{
    struct weir_lake *lake = output->options.lake;
    int number = atomic_fetch_add(output->options.number, 1);
    if (number >= FILES_MAX)
        return weir_fail(reterr, WEIR_NO_SPACE, "more than %d files in one window", FILES_MAX);
    WEIR_TRY(weir_arena_print(output->arena, &output->path, reterr, "%s/%s-%05d.parquet",
                              output->options.root_uri_prefix, output->options.stem, number));
    const char *name = weir_store_name(&lake->store, output->path);
    if (!name)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "%s lies outside the warehouse %s", output->path,
                         lake->store.root_uri);
    WEIR_TRY(lake->store.operations->upload_begin(lake->store.self, name, &output->upload, reterr));
    XXH3_128bits_reset(output->hash);
    return weir_parquet_writer_new(
        lake->context, &lake->context->memory, output->options.type, &output->options.parquet,
        (struct weir_parquet_sink){sink_write, output}, &output->writer, reterr);
}

struct leaf_counts {
    struct weir_id_count *sizes, *values, *nulls, *nans;
    struct weir_id_bound *lower, *upper;
};

static weir_status leaf_arrays(struct weir_arena *arena, size_t count, struct leaf_counts *ret,
                               struct weir_error *reterr)
{
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *ret->sizes, &ret->sizes, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *ret->values, &ret->values, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *ret->nulls, &ret->nulls, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *ret->nans, &ret->nans, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *ret->lower, &ret->lower, reterr));
    return weir_arena_zero(arena, count + 1, sizeof *ret->upper, &ret->upper, reterr);
}

static weir_status copy_bound(struct weir_arena *arena, struct weir_bytes bound,
                              struct weir_bytes *ret, struct weir_error *reterr)
{
    char *copy;
    WEIR_TRY(weir_arena_copy(arena, bound.data, bound.size, &copy, reterr));
    *ret = (struct weir_bytes){(const uint8_t *)copy, bound.size};
    return WEIR_OK;
}

static weir_status describe(struct output *output, const struct weir_parquet_result *result,
                            struct weir_data_file *file, struct weir_error *reterr)
{
    struct leaf_counts leaf;
    WEIR_TRY(leaf_arrays(output->arena, result->leaf_count, &leaf, reterr));
    *file = (struct weir_data_file){.path = output->path,
                                    .format = "PARQUET",
                                    .spec_id = output->options.spec_id,
                                    .partition = output->options.partition,
                                    .record_count = (int64_t)result->row_count,
                                    .file_size = (int64_t)result->file_size,
                                    .column_sizes = leaf.sizes,
                                    .value_counts = leaf.values,
                                    .null_counts = leaf.nulls,
                                    .nan_counts = leaf.nans,
                                    .lower = leaf.lower,
                                    .upper = leaf.upper,
                                    .sort_order_id = 0,
                                    .split_count = result->split_count};
    for (size_t i = 0; i < result->leaf_count; i++) {
        const struct weir_parquet_leaf *from = &result->leaves[i];
        leaf.sizes[file->column_size_count++] = (struct weir_id_count){from->field_id,
                                                                       (int64_t)from->column_size};
        leaf.values[file->value_count_count++] = (struct weir_id_count){from->field_id,
                                                                        (int64_t)from->value_count};
        leaf.nulls[file->null_count_count++] = (struct weir_id_count){from->field_id,
                                                                      (int64_t)from->null_count};
        if (from->has_nan_count)
            leaf.nans[file->nan_count_count++] = (struct weir_id_count){from->field_id,
                                                                        (int64_t)from->nan_count};
        if (from->lower.data) {
            leaf.lower[file->lower_count].id = from->field_id;
            WEIR_TRY(copy_bound(output->arena, from->lower, &leaf.lower[file->lower_count++].bound,
                                reterr));
        }
        if (from->upper.data) {
            leaf.upper[file->upper_count].id = from->field_id;
            WEIR_TRY(copy_bound(output->arena, from->upper, &leaf.upper[file->upper_count++].bound,
                                reterr));
        }
    }
    int64_t *splits;
    WEIR_TRY(
        weir_arena_zero(output->arena, result->split_count + 1, sizeof *splits, &splits, reterr));
    if (result->split_count)
        memcpy(splits, result->split_offsets, result->split_count * sizeof *splits);
    file->split_offsets = splits;
    return WEIR_OK;
}

static weir_status grow(struct output *output, struct weir_error *reterr)
{
    if (output->count < output->capacity)
        return WEIR_OK;
    size_t capacity = output->capacity ? output->capacity * 2 : 4;
    struct weir_data_file *files;
    char(*digests)[33];
    WEIR_TRY(weir_arena_zero(output->arena, capacity, sizeof *files, &files, reterr));
    WEIR_TRY(weir_arena_zero(output->arena, capacity, sizeof *digests, &digests, reterr));
    if (output->count) {
        memcpy(files, output->files, output->count * sizeof *files);
        memcpy(digests, output->digests, output->count * sizeof *digests);
    }
    output->files = files;
    output->digests = digests;
    output->capacity = capacity;
    return WEIR_OK;
}

static weir_status close_file(struct output *output, struct weir_error *reterr)
{
    struct weir_parquet_result result;
    const struct weir_object_store *store = &output->options.lake->store;
    WEIR_TRY(grow(output, reterr));
    WEIR_TRY(weir_parquet_writer_finish(output->writer, &result, reterr));
    WEIR_TRY(describe(output, &result, &output->files[output->count], reterr));
    XXH128_hash_t hash = XXH3_128bits_digest(output->hash);
    snprintf(output->digests[output->count], 33, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
    struct weir_upload *upload = output->upload;
    output->upload = NULL;
    struct weir_object_info info;
    weir_status status = store->operations->upload_finish(upload, &info, reterr);
    if (status == WEIR_UNKNOWN_OUTCOME || status == WEIR_PRECONDITION) {
        /* The name is random and ours: it is there, whole, or it is not. */
        const char *name = weir_store_name(store, output->path);
        if (store->operations->head(store->self, name, &info, NULL) == WEIR_OK &&
            info.size == result.file_size)
            status = WEIR_OK;
    }
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "writing %s", output->path);
        return status;
    }
    weir_parquet_writer_free(output->writer);
    output->writer = NULL;
    output->count++;
    return WEIR_OK;
}

weir_status output_add(struct output *output, const struct weir_batch *batch,
                       const struct weir_selection *selection, struct weir_error *reterr)
{
    if ((selection ? selection->count : batch->count) == 0)
        return WEIR_OK;
    if (!output->writer)
        WEIR_TRY(open_file(output, reterr));
    WEIR_TRY(weir_parquet_writer_add(output->writer, batch, selection, reterr));
    /* Only finished row groups count, and runs are cut by the records alone: so is where a file
     * ends. */
    if (output->options.file_size &&
        weir_parquet_writer_written(output->writer) >= output->options.file_size)
        return close_file(output, reterr);
    return WEIR_OK;
}

weir_status output_finish(struct output *output, struct weir_error *reterr)
{
    return output->writer ? close_file(output, reterr) : WEIR_OK;
}

void output_abandon(struct output *output)
{
    if (!output)
        return;
    weir_parquet_writer_free(output->writer);
    output->writer = NULL;
    if (output->upload)
        output->options.lake->store.operations->upload_abandon(output->upload);
    output->upload = NULL;
}

size_t output_files(const struct output *output, const struct weir_data_file **ret_files,
                    char (**ret_digests)[33])
{
    *ret_files = output->files;
    *ret_digests = output->digests;
    return output->count;
}
