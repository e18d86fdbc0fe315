/* Statements of a promotion: to rows in memory, to data files, to a list of texts. */
#include "scheduler/promote/promote_int.h"
#include "scheduler/query/rows_source.h"

#include <stdlib.h>
#include <string.h>

static weir_status nothing_to_begin(void *self, const struct weir_type *type,
                                    struct weir_error *reterr)
{
    (void)self, (void)type, (void)reterr;
    return WEIR_OK;
}

static uint64_t bytes_read(const struct weir_operator *step)
{
    uint64_t bytes = step->kind == WEIR_OP_SCAN ? atomic_load(&step->counters.bytes_read) : 0;
    for (uint32_t i = 0; i < step->child_count; i++)
        bytes += bytes_read(step->children[i]);
    return bytes;
}

static weir_status run(struct promotion *promotion, struct weir_operator *root, take_batch take,
                       void *self, struct weir_error *reterr)
{
    struct weir_query_result result = {nothing_to_begin, take, self};
    WEIR_TRY(weir_query_execute(promotion->session, root, &result, NULL, reterr));
    promotion->bytes_read += bytes_read(root);
    return WEIR_OK;
}

/* *ret_nothing: nothing of what is asked for is read, so there are no rows. */
static weir_status plan(struct promotion *promotion, struct weir_arena *arena, const char *text,
                        bool having, struct weir_operator **ret_root, bool *ret_nothing,
                        struct weir_error *reterr)
{
    const struct source *part = promotion->part;
    WEIR_TRY(weir_query_plan(promotion->session, arena, text, ret_root, NULL, reterr));
    if (!having)
        weir_sql_without_having(ret_root);
    *ret_nothing = part && !weir_sql_only_reading(*ret_root, &part->added, &part->removed);
    return WEIR_OK;
}

weir_status statement_run(struct promotion *promotion, const char *text, bool having,
                          take_batch take, void *self, struct weir_error *reterr)
{
    struct weir_operator *root;
    bool nothing;
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &promotion->lake->context->memory);
    weir_status status = plan(promotion, &arena, text, having, &root, &nothing, reterr);
    if (status == WEIR_OK && !nothing)
        status = run(promotion, root, take, self, reterr);
    return model_failed(promotion->model, status, reterr);
}

struct keeping {
    struct weir_table_source *rows;
    uint64_t count;
};

static weir_status keep_batch(void *self, const struct weir_batch *batch, struct weir_error *reterr)
{
    struct keeping *keeping = self;
    keeping->count += batch->count;
    return query_rows_add(keeping->rows, batch, reterr);
}

static struct weir_table_source *kept_rows(struct promotion *promotion, const char *name)
{
    for (size_t i = 0; i < promotion->name_count; i++)
        if (strcmp(promotion->names[i].name, name) == 0)
            return (struct weir_table_source *)(uintptr_t)promotion->names[i].source;
    return NULL;
}

weir_status statement_keep(struct promotion *promotion, const char *name, const char *text,
                           bool having, uint64_t *ret_rows, struct weir_error *reterr)
{
    struct weir_operator *root;
    struct keeping keeping = {.rows = kept_rows(promotion, name)};
    bool is_new = keeping.rows == NULL, nothing;
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &promotion->lake->context->memory);
    weir_status status = plan(promotion, &arena, text, having, &root, &nothing, reterr);
    if (status == WEIR_OK && is_new) {
        keeping.rows = &promotion->kept[promotion->kept_count];
        status = query_rows_new(&promotion->lake->context->memory, &root->type, keeping.rows,
                                reterr);
        promotion->kept_count += status == WEIR_OK;
    }
    if (status == WEIR_OK && !nothing)
        status = run(promotion, root, keep_batch, &keeping, reterr);
    WEIR_TRY(model_failed(promotion->model, status, reterr));
    if (is_new) {
        promotion->names[promotion->name_count++] = (struct weir_query_name){
            .name = name, .source = keeping.rows};
        weir_query_names_set(promotion->session, promotion->names, promotion->name_count);
    }
    if (ret_rows)
        *ret_rows = keeping.count;
    return WEIR_OK;
}

static weir_status write_batch(void *self, const struct weir_batch *batch,
                               struct weir_error *reterr)
{
    return weir_table_writer_add(self, batch, reterr);
}

weir_status statement_write(struct promotion *promotion, const char *text,
                            struct weir_error *reterr)
{
    if (!promotion->writer) {
        struct weir_table_writer_options options = {
            .lake = promotion->lake,
            .table = &promotion->config,
            .shape = &promotion->shape,
            .table_location = weir_metadata_location(promotion->table->metadata),
            .attempt = weir_snapshot_id(promotion->lake->context, promotion->table->metadata)};
        WEIR_TRY(weir_table_writer_new(&options, &promotion->writer, reterr));
    }
    return statement_write_to(promotion, text, promotion->writer, reterr);
}

weir_status statement_write_to(struct promotion *promotion, const char *text,
                               struct weir_table_writer *writer, struct weir_error *reterr)
{
    return statement_run(promotion, text, true, write_batch, writer, reterr);
}

struct texts {
    struct weir_arena *arena;
    struct path_set set;
    size_t capacity;
};

static weir_status take_texts(void *self, const struct weir_batch *batch, struct weir_error *reterr)
{
    struct texts *texts = self;
    struct weir_batch flat;
    WEIR_TRY(weir_batch_gather(texts->arena, batch, NULL, &flat, reterr));
    const struct weir_vector *column = &flat.columns[0];
    for (uint32_t i = 0; i < flat.count; i++) {
        char *copy;
        if (texts->set.count == texts->capacity) {
            size_t capacity = texts->capacity ? 2 * texts->capacity : 64;
            const char **larger;
            WEIR_TRY(weir_arena_zero(texts->arena, capacity, sizeof *larger, &larger, reterr));
            if (texts->set.count)
                memcpy(larger, texts->set.paths, texts->set.count * sizeof *larger);
            texts->set.paths = larger;
            texts->capacity = capacity;
        }
        WEIR_TRY(weir_arena_copy(texts->arena, (const uint8_t *)column->values + column->offsets[i],
                                 (size_t)(column->offsets[i + 1] - column->offsets[i]), &copy,
                                 reterr));
        texts->set.paths[texts->set.count++] = copy;
    }
    return WEIR_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

weir_status statement_texts(struct promotion *promotion, const char *text, struct path_set *ret,
                            struct weir_error *reterr)
{
    struct texts texts = {.arena = &promotion->arena};
    WEIR_TRY(statement_run(promotion, text, true, take_texts, &texts, reterr));
    if (texts.set.count)
        qsort(texts.set.paths, texts.set.count, sizeof *texts.set.paths, by_text);
    *ret = texts.set;
    return WEIR_OK;
}
