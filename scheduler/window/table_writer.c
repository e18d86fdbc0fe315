/* Batches to the open files of their partition values. */
#include "scheduler/window/table_writer.h"

#include "engine/base/limits.h"
#include "scheduler/window/output.h"
#include "scheduler/window/partition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct partition {
    char *folder;
    struct output *output;
};

struct weir_table_writer {
    struct weir_table_writer_options options;
    struct weir_arena arena, scratch; /* as long as the writer; as a batch */
    struct weir_parquet_options parquet;
    struct partition *partitions;
    size_t partition_count;
    char stem[32];
    atomic_int number;
    struct weir_row_hash hash;
};

weir_status weir_table_writer_new(const struct weir_table_writer_options *options,
                                  struct weir_table_writer **ret_writer, struct weir_error *reterr)
{
    struct weir_table_writer *writer;
    struct weir_account *account = &options->lake->context->memory;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *writer, &writer, reterr));
    writer->options = *options;
    weir_arena_init(&writer->arena, account);
    weir_arena_init(&writer->scratch, account);
    snprintf(writer->stem, sizeof writer->stem, "%019lld", (long long)options->attempt);
    weir_status status = partition_parquet_options(&writer->arena, options->table, options->shape,
                                                   &writer->parquet, reterr);
    if (status == WEIR_OK)
        status = weir_arena_zero(&writer->arena, WEIR_PARTITIONS_OPEN_MAX,
                                 sizeof *writer->partitions, &writer->partitions, reterr);
    if (status != WEIR_OK)
        weir_table_writer_free(writer);
    else
        *ret_writer = writer;
    return status;
}

void weir_table_writer_free(struct weir_table_writer *writer)
{
    if (!writer)
        return;
    for (size_t i = 0; i < writer->partition_count; i++)
        output_abandon(writer->partitions[i].output);
    weir_arena_done(&writer->scratch);
    weir_arena_done(&writer->arena);
    weir_free(writer);
}

/* The group's folder and values outlive the batch. */
static weir_status keep_value(struct weir_table_writer *writer, const struct partition_group *group,
                              struct partition *partition, struct weir_bytes **ret_values,
                              struct weir_error *reterr)
{
    size_t count = writer->options.shape->spec->field_count;
    struct weir_bytes *values;
    char *copy;
    WEIR_TRY(weir_arena_copy(&writer->arena, group->folder, strlen(group->folder),
                             &partition->folder, reterr));
    WEIR_TRY(weir_arena_zero(&writer->arena, count + 1, sizeof *values, &values, reterr));
    for (size_t i = 0; i < count; i++) {
        if (!group->values[i].data)
            continue;
        WEIR_TRY(weir_arena_copy(&writer->arena, group->values[i].data, group->values[i].size,
                                 &copy, reterr));
        values[i] = (struct weir_bytes){(const uint8_t *)copy, group->values[i].size};
    }
    *ret_values = values;
    return WEIR_OK;
}

static weir_status find_partition(struct weir_table_writer *writer,
                                  const struct partition_group *group, struct partition **ret,
                                  struct weir_error *reterr)
{
    for (size_t i = 0; i < writer->partition_count; i++)
        if (strcmp(writer->partitions[i].folder, group->folder) == 0) {
            *ret = &writer->partitions[i];
            return WEIR_OK;
        }
    if (writer->partition_count == WEIR_PARTITIONS_OPEN_MAX)
        return weir_fail(
            reterr, WEIR_UNSUPPORTED,
            "more than %d partition values in one promotion; make partition_by coarser",
            WEIR_PARTITIONS_OPEN_MAX);
    const struct weir_table_writer_options *own = &writer->options;
    struct partition *partition = &writer->partitions[writer->partition_count];
    struct weir_bytes *values;
    char *root;
    WEIR_TRY(keep_value(writer, group, partition, &values, reterr));
    WEIR_TRY(weir_arena_print(&writer->arena, &root, reterr, "%s/data%s%s", own->table_location,
                              *group->folder ? "/" : "", group->folder));
    struct output_options options = {.lake = own->lake,
                                     .type = &own->shape->write,
                                     .parquet = writer->parquet,
                                     .file_size = own->table->file_size,
                                     .root_uri_prefix = root,
                                     .spec_id = own->shape->spec->id,
                                     .partition = values,
                                     .stem = writer->stem,
                                     .number = &writer->number};
    WEIR_TRY(output_new(&writer->arena, &options, &partition->output, reterr));
    writer->partition_count++;
    *ret = partition;
    return WEIR_OK;
}

weir_status weir_table_writer_add(struct weir_table_writer *writer, const struct weir_batch *batch,
                                  struct weir_error *reterr)
{
    const struct weir_shape *shape = writer->options.shape;
    struct weir_arena *scratch = &writer->scratch;
    struct partition_group *groups;
    struct weir_batch flat;
    size_t count;
    if (batch->count == 0)
        return WEIR_OK;
    weir_arena_reset(scratch);
    WEIR_TRY(weir_batch_as_flat(scratch, batch, &flat, reterr));
    flat.type = &shape->write;
    for (uint32_t i = 0; i < shape->write.child_count; i++)
        weir_vector_retype(&flat.columns[i], &shape->write.children[i].type);
    WEIR_TRY(weir_row_hash_add(&writer->hash, &flat, NULL, scratch, reterr));
    WEIR_TRY(partition_rows(scratch, shape, &flat, &groups, &count, reterr));
    for (size_t g = 0; g < count; g++) {
        struct partition *partition;
        struct weir_selection selection = {.count = groups[g].count, .rows = groups[g].rows};
        WEIR_TRY(find_partition(writer, &groups[g], &partition, reterr));
        WEIR_TRY(output_add(partition->output, &flat, count == 1 ? NULL : &selection, reterr));
    }
    return WEIR_OK;
}

static int by_folder(const void *a, const void *b)
{
    return strcmp(((const struct partition *)a)->folder, ((const struct partition *)b)->folder);
}

weir_status weir_table_writer_finish(struct weir_table_writer *writer,
                                     struct weir_table_files *ret_files, struct weir_error *reterr)
{
    struct weir_table_files result = {.hash = writer->hash};
    const struct weir_data_file *files;
    struct weir_data_file *all;
    char(*digests)[33];
    size_t total = 0;
    qsort(writer->partitions, writer->partition_count, sizeof *writer->partitions, by_folder);
    for (size_t i = 0; i < writer->partition_count; i++) {
        WEIR_TRY(output_finish(writer->partitions[i].output, reterr));
        total += output_files(writer->partitions[i].output, &files, &digests);
    }
    WEIR_TRY(weir_arena_zero(&writer->arena, total + 1, sizeof *all, &all, reterr));
    WEIR_TRY(weir_arena_zero(&writer->arena, total + 1, sizeof *result.digests, &result.digests,
                             reterr));
    for (size_t i = 0; i < writer->partition_count; i++) {
        size_t count = output_files(writer->partitions[i].output, &files, &digests);
        memcpy(all + result.count, files, count * sizeof *all);
        memcpy(result.digests + result.count, digests, count * sizeof *digests);
        result.count += count;
    }
    for (size_t i = 0; i < result.count; i++) {
        result.rows += all[i].record_count;
        result.bytes += all[i].file_size;
    }
    result.files = all;
    *ret_files = result;
    return WEIR_OK;
}
