/* A promotion, from what is due to the commit.
 *     heads of the sources -> what changed since -> files to add and remove -> one commit
 * Dying before the commit leaves litter. With gates the commit is a branch, and publishing it the
 * second: dying between leaves a candidate that the next promotion drops. Where the table says it
 * has got to (weir.sources) is compared in the commit itself. */
#include "scheduler/promote/promote_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS_MAX  5
#define GATE_PREFIX "weir-gate-"

const char *promotion_mode(enum weir_model_mode mode)
{
    static const char *const names[] = {"append", "merge", "recompute", "full", "view"};
    return names[mode];
}

/* ---- the table ---- */

static weir_status print_type(struct promotion *promotion, const struct weir_type *type,
                              char **ret_text, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) text = {.account = &promotion->lake->context->memory};
    WEIR_TRY(weir_type_print(type, &text, reterr));
    return weir_arena_copy(&promotion->arena, text.data, text.size, ret_text, reterr);
}

/* The table's columns of the query's result: by name, cast where the table has another type. */
static weir_status make_lists(struct promotion *promotion, const struct weir_type *result,
                              struct weir_error *reterr)
{
    const struct weir_type *write = &promotion->shape.write;
    struct weir_arena *arena = &promotion->arena;
    char none[] = "", *columns = none, *model = none, *type;
    for (uint32_t i = 0; i < write->child_count; i++) {
        const struct weir_field *field = &write->children[i],
                                *has = weir_type_child(result, field->name, strlen(field->name));
        const char *comma = i ? ", " : "";
        WEIR_TRY(
            weir_arena_print(arena, &columns, reterr, "%s%s\"%s\"", columns, comma, field->name));
        if (has && weir_type_equal(&has->type, &field->type, false)) {
            WEIR_TRY(
                weir_arena_print(arena, &model, reterr, "%s%sm.\"%s\"", model, comma, field->name));
            continue;
        }
        WEIR_TRY(print_type(promotion, &field->type, &type, reterr));
        WEIR_TRY(weir_arena_print(arena, &model, reterr, "%s%sCAST(m.\"%s\" AS %s) AS \"%s\"",
                                  model, comma, field->name, type, field->name));
    }
    promotion->column_list = columns;
    promotion->model_list = model;
    return WEIR_OK;
}

weir_status promotion_load(struct promotion *promotion, struct weir_error *reterr)
{
    struct weir_catalog *catalog = &promotion->lake->catalog;
    const char *name = promotion->model->table.name;
    weir_status status = catalog->operations->load(catalog->self, name, &promotion->table, reterr);
    if (status == WEIR_NOT_FOUND) {
        promotion->table = NULL;
        return WEIR_OK;
    }
    WEIR_TRY(status);
    const struct weir_metadata *metadata = promotion->table->metadata;
    const char *format = weir_metadata_property(metadata, "weir.format");
    if (format && strcmp(format, "1") != 0)
        return weir_fail(reterr, WEIR_REFUSED, "table %s has weir.format %s; this program knows 1",
                         name, format);
    if (!weir_metadata_ref(metadata, "main", &promotion->head))
        return weir_fail(reterr, WEIR_DECISION, "branch main of %s is gone", name);
    status = weir_truth(&promotion->lake->store, &promotion->lake->context->memory, metadata,
                        "main", &promotion->truth, reterr);
    if (status == WEIR_NOT_FOUND)
        return weir_fail(reterr, WEIR_REFUSED,
                         "table %s is there, but Weir did not make it: name the model otherwise",
                         name);
    return status;
}

/* Binds the query over the sources as they are; the table's columns follow. */
weir_status promotion_bind(struct promotion *promotion, struct weir_error *reterr)
{
    struct weir_operator *root;
    const struct weir_model_config *model = promotion->model;
    WEIR_TRY(promotion_read(promotion, reterr));
    WEIR_TRY(promotion_names(promotion, promotion->source_count, VARIANT_TO, VARIANT_TO, VARIANT_TO,
                             reterr));
    WEIR_TRY(model_failed(
        model,
        weir_query_plan(promotion->session, &promotion->arena, model->sql, &root, NULL, reterr),
        reterr));
    WEIR_TRY(model_columns(model, &root->type, &promotion->arena, &promotion->columns, reterr));
    WEIR_TRY(model_keys(model, &promotion->columns, &promotion->arena, &promotion->keys, reterr));
    for (size_t i = 0; i < promotion->source_count; i++)
        WEIR_TRY(model_mode_fits(model, root, &promotion->sources[i].at_to,
                                 promotion->sources[i].name, reterr));
    promotion->config = model->table;
    promotion->config.columns = promotion->columns;
    WEIR_TRY(promotion_classes(promotion, reterr));
    WEIR_TRY(weir_shape_make(&promotion->arena, &promotion->config,
                             promotion->table ? promotion->table->metadata : NULL,
                             &promotion->shape, reterr));
    WEIR_TRY(make_lists(promotion, &root->type, reterr));
    return closed_bind(promotion, reterr);
}

/* ---- what is due ---- */

static bool definition_changed(const struct promotion *promotion)
{
    const char *was = promotion->table
                          ? weir_metadata_property(promotion->table->metadata, "weir.definition")
                          : NULL;
    const char *is = promotion->model->table.digest;
    return was && is && strcmp(was, is) != 0;
}

static weir_status ask_definition(struct promotion *promotion, struct weir_error *reterr)
{
    const struct weir_model_config *model = promotion->model;
    if (!definition_changed(promotion) || promotion->first)
        return WEIR_OK;
    if (model->on_change == WEIR_CHANGE_REBUILD) {
        promotion->first = true;
        promotion->why = "its definition changed (on_change: rebuild)";
        return WEIR_OK;
    }
    if (model->on_change == WEIR_CHANGE_FORWARD)
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_DECISION,
                                   "%s: the SQL, mode or key changed since it was promoted",
                                   model->table.name);
    weir_error_hint(reterr,
                    "weir promote %s --rebuild makes it anew; on_change: forward goes on with what "
                    "is there",
                    model->table.name);
    return status;
}

/* A source that was dropped and made again has nothing to do with what was promoted from it. */
static weir_status ask_identity(struct promotion *promotion, const struct source *source,
                                const json_t *reached, struct weir_error *reterr)
{
    const char *key;
    json_t *was;
    if (source->to_files || json_object_get(reached, source->key) || promotion->options->rebuild)
        return WEIR_OK;
    json_object_foreach((json_t *)(uintptr_t)reached, key, was)
    {
        const char *name = json_string_value(json_object_get(was, "table"));
        if (!name || strcmp(name, source->name) != 0)
            continue;
        weir_status status = weir_fail(reterr, WEIR_DECISION,
                                       "%s: %s is another table than the one that was promoted "
                                       "last (uuid %s, now %s)",
                                       promotion->model->table.name, name, key, source->key);
        weir_error_hint(reterr, "weir promote %s --rebuild makes the table anew",
                        promotion->model->table.name);
        return status;
    }
    return WEIR_OK;
}

/* What the table says it has got to, per source. */
static weir_status ask_sources(struct promotion *promotion, struct weir_error *reterr)
{
    const json_t *reached = json_object_get(promotion->truth, "sources");
    size_t known = 0;
    for (size_t i = 0; i < promotion->source_count; i++) {
        struct source *source = &promotion->sources[i];
        WEIR_TRY(ask_identity(promotion, source, reached, reterr));
        const json_t *to = json_object_get(json_object_get(reached, source->key), "to");
        if (source->to_files) {
            source->from_files = json_string_value(to);
            source->changed = !source->from_files ||
                              strcmp(source->from_files, source->to_files) != 0;
        } else {
            source->from = json_integer_value(to);
            source->changed = source->from != source->to &&
                              (source->drives ||
                               promotion->model->reprocess != WEIR_REPROCESS_NEVER);
        }
        known += to != NULL;
    }
    if (!promotion->table || known == 0)
        promotion->why = "nothing has been promoted yet";
    else if (known < promotion->source_count)
        promotion->why = "a source is new";
    else if (promotion->options->rebuild)
        promotion->why = "it was asked to be made anew";
    promotion->first = promotion->why != NULL;
    return ask_definition(promotion, reterr);
}

static weir_status prepare(struct promotion *promotion, const struct weir_promote_options *options,
                           struct weir_error *reterr)
{
    *promotion = (struct promotion){
        .options = options, .model = options->model, .lake = options->lake};
    weir_arena_init(&promotion->arena, &options->lake->context->memory);
    aside_init(promotion);
    WEIR_TRY(promotion_load(promotion, reterr));
    WEIR_TRY(promotion_open(promotion, reterr));
    return ask_sources(promotion, reterr);
}

/* ---- the commit ---- */

static json_t *reached_json(const struct promotion *promotion)
{
    json_t *sources = json_object();
    for (size_t i = 0; i < promotion->source_count; i++) {
        const struct source *source = &promotion->sources[i];
        /* one that does not drive is recorded where it was read */
        json_t *reached = source->to_files
                              ? json_pack("{s:s, s:s?, s:s}", "table", source->name, "from",
                                          source->from_files, "to", source->to_files)
                              : json_pack("{s:s, s:I, s:I}", "table", source->name, "from",
                                          (json_int_t)source->from, "to", (json_int_t)source->to);
        json_t *horizon = closed_json(source);
        if (horizon)
            json_object_set_new(reached, "horizon", horizon);
        json_object_set_new(sources, source->key, reached);
    }
    return sources;
}

/* protocol.md 4: as far as we started from: go; as far as we want to get: somebody did it. */
static enum weir_test test_sources(void *self, const json_t *state)
{
    const struct promotion *promotion = self;
    const json_t *reached = json_object_get(state, "sources");
    bool done = true, same = true;
    for (size_t i = 0; i < promotion->source_count; i++) {
        const struct source *source = &promotion->sources[i];
        const json_t *to = json_object_get(json_object_get(reached, source->key), "to"),
                     *was = json_object_get(
                         json_object_get(json_object_get(promotion->truth, "sources"), source->key),
                         "to");
        bool there = source->to_files ? json_is_string(to) &&
                                            strcmp(json_string_value(to), source->to_files) == 0
                                      : json_integer_value(to) == source->to;
        done &= to && there;
        same &= (!to && !was) || (to && was && json_equal(to, was));
    }
    return same ? WEIR_TEST_GO : done ? WEIR_TEST_DONE : WEIR_TEST_DROP;
}

static weir_status overlay_sources(void *self, json_t *state, int64_t snapshot_id,
                                   struct weir_error *reterr)
{
    const struct promotion *promotion = self;
    if (json_object_set_new(state, "sources", reached_json(promotion)))
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a table's state");
    return aside_overlay(promotion, state, snapshot_id, reterr);
}

static json_t *receipt_json(const struct promotion *promotion)
{
    char hash[33];
    json_t *files = json_array(), *removed = json_array();
    const struct weir_table_files *added = &promotion->files;
    weir_row_hash_print(&added->hash, hash);
    for (size_t i = 0; i < added->count; i++)
        json_array_append_new(files, json_pack("{s:s, s:I, s:I, s:s}", "path", added->files[i].path,
                                               "rows", (json_int_t)added->files[i].record_count,
                                               "size", (json_int_t)added->files[i].file_size,
                                               "digest", added->digests[i]));
    for (size_t i = 0; i < promotion->removed_count; i++)
        json_array_append_new(removed, json_string(promotion->removed[i]));
    return json_pack(
        "{s:s, s:s, s:o, s:I, s:s, s:o, s:o, s:o, s:I, s:o, s:I, s:s}", "mode",
        promotion_mode(promotion->model->mode), "why", promotion->why, "sources",
        reached_json(promotion), "rows", (json_int_t)added->rows, "row_hash", hash, "files", files,
        "removed", removed, "letters", aside_receipt(&promotion->aside), "set_aside",
        (json_int_t)promotion->aside.rows, "late_files", aside_receipt(&promotion->late), "late",
        (json_int_t)promotion->late.rows, "version", "0.1.0");
}

/* weir.class.{column}, for those who read the table. */
static void note_classes(const struct promotion *promotion, const json_t *has, json_t *properties)
{
    json_t *classes = promotion->traced ? weir_graph_properties(promotion->traced, has) : NULL;
    json_object_update(properties, classes);
    json_decref(classes);
}

static weir_status birth(struct promotion *promotion, struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = promotion->options->pipeline;
    const struct weir_table_config *config = &promotion->config;
    json_t *state = weir_state_new(),
           *properties = json_pack(
               "{s:s, s:s, s:s, s:s}", "weir.pipeline", pipeline->name ? pipeline->name : "",
               "weir.definition", config->digest ? config->digest : "", "weir.model",
               promotion_mode(promotion->model->mode), "write.format.default", "parquet"),
           *order = weir_shape_sort_order(config, &promotion->shape);
    if (pipeline->owner)
        json_object_set_new(properties, "owner", json_string(pipeline->owner));
    if (promotion->model->description)
        json_object_set_new(properties, "comment", json_string(promotion->model->description));
    note_classes(promotion, NULL, properties);
    struct weir_birth birth = {.name = config->name,
                               .schema = &promotion->shape.schema,
                               .spec = promotion->shape.spec,
                               .sort_order = order,
                               .properties = properties,
                               .state = state};
    bool made;
    weir_status status = weir_table_create(promotion->lake, &birth, &promotion->table, &made,
                                           reterr);
    json_decref(properties);
    json_decref(order);
    json_decref(state);
    WEIR_TRY(status);
    if (!weir_metadata_ref(promotion->table->metadata, "main", &promotion->head))
        return weir_fail(reterr, WEIR_DECISION, "branch main of %s is gone", config->name);
    WEIR_TRY(weir_truth(&promotion->lake->store, &promotion->lake->context->memory,
                        promotion->table->metadata, "main", &promotion->truth, reterr));
    /* somebody may have made it first, with ids of their own */
    return weir_shape_make(&promotion->arena, config, promotion->table->metadata, &promotion->shape,
                           reterr);
}

static weir_status drop_candidates(struct promotion *promotion, size_t *ret_count,
                                   struct weir_error *reterr)
{
    const char *name;
    json_t *ref;
    size_t count = 0, size = strlen(GATE_PREFIX);
    char *dropped[64];
    json_object_foreach(json_object_get(weir_metadata_document(promotion->table->metadata), "refs"),
                        name, ref)
    {
        if (strncmp(name, GATE_PREFIX, size) == 0 && count < 64)
            WEIR_TRY(
                weir_arena_copy(&promotion->arena, name, strlen(name), &dropped[count++], reterr));
    }
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(weir_drop_ref(promotion->lake, &promotion->table, dropped[i], reterr));
    for (size_t i = 0; i < count; i++)
        WEIR_TRY(pins_drop_run(promotion, dropped[i] + size, reterr));
    if (ret_count)
        *ret_count = count;
    return WEIR_OK;
}

static weir_status land(struct promotion *promotion, const char *branch,
                        enum weir_landing *ret_landing, int64_t *ret_snapshot_id,
                        struct weir_error *reterr)
{
    json_t *receipt = receipt_json(promotion),
           *properties = json_pack("{s:s}", "weir.definition", promotion->model->table.digest);
    note_classes(promotion,
                 json_object_get(weir_metadata_document(promotion->table->metadata), "properties"),
                 properties);
    bool appends = !promotion->replace_all && promotion->removed_count == 0;
    struct weir_work work = {
        .kind = "promote",
        .operation = appends ? "append" : "overwrite",
        .epoch = json_integer_value(json_object_get(promotion->truth, "epoch")),
        .test = test_sources,
        .overlay = overlay_sources,
        .self = promotion,
        .files = promotion->files.files,
        .file_count = promotion->files.count,
        .removed = promotion->removed,
        .removed_count = promotion->removed_count,
        .replace_all = promotion->replace_all,
        /* for an append too: what another promotion has reached may be the same again after a
         * rollback of the source, and this one's pin be gone (pins.c) */
        .base = promotion->head,
        .branch = branch,
        .receipt = receipt,
        .schema = promotion->shape.changed ? &promotion->shape.schema : NULL,
        .properties = properties};
    weir_status status = receipt && properties
                             ? weir_land(promotion->lake, &promotion->table, &work, ret_landing,
                                         ret_snapshot_id, reterr)
                             : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
    json_decref(receipt);
    json_decref(properties);
    return status;
}

/* With gates: a candidate first; that very snapshot is published. */
static weir_status land_gated(struct promotion *promotion, json_t *outcome,
                              enum weir_landing *ret_landing, int64_t *ret_snapshot_id,
                              struct weir_error *reterr)
{
    char branch[128];
    snprintf(branch, sizeof branch, GATE_PREFIX "%.80s", promotion->lake->run_id);
    WEIR_TRY(drop_candidates(promotion, NULL, reterr));
    WEIR_TRY(land(promotion, branch, ret_landing, ret_snapshot_id, reterr));
    if (*ret_landing != WEIR_LANDED)
        return WEIR_OK;
    WEIR_TRY(promotion_gates(promotion, *ret_snapshot_id, outcome, reterr));
    return weir_publish(promotion->lake, &promotion->table, branch, ret_landing, reterr);
}

static void tell(const struct promotion *promotion, json_t *outcome, int64_t snapshot_id)
{
    int64_t replaced = 0;
    json_object_set_new(outcome, "idle", json_false());
    json_object_set_new(outcome, "reason", json_string(promotion->why));
    json_object_set_new(outcome, "rows_written", json_integer(promotion->files.rows));
    json_object_set_new(outcome, "rows_removed", json_integer(promotion->rows_removed + replaced));
    json_object_set_new(outcome, "files_added", json_integer((json_int_t)promotion->files.count));
    json_object_set_new(outcome, "files_removed",
                        json_integer((json_int_t)promotion->removed_count));
    json_object_set_new(outcome, "bytes_read", json_integer((json_int_t)promotion->bytes_read));
    json_object_set_new(outcome, "bytes_written", json_integer(promotion->files.bytes));
    if (promotion->model->aside_count)
        json_object_set_new(outcome, "set_aside", json_integer(promotion->aside.rows));
    if (promotion->late.rows)
        json_object_set_new(outcome, "late", json_integer(promotion->late.rows));
    json_object_set_new(outcome, "snapshot", json_integer(snapshot_id));
}

static weir_status promote_due(struct promotion *promotion, json_t *outcome,
                               enum weir_landing *ret_landing, struct weir_error *reterr)
{
    bool nothing, moved;
    int64_t snapshot_id = 0;
    *ret_landing = WEIR_ABANDONED;
    WEIR_TRY(pins_set(promotion, &moved, reterr));
    if (moved)
        return WEIR_OK;
    WEIR_TRY(promotion_bind(promotion, reterr));
    if (!promotion->table)
        WEIR_TRY(birth(promotion, reterr));
    WEIR_TRY(aside_sync(promotion, reterr));
    if (!promotion->first)
        WEIR_TRY(promotion_differences(promotion, reterr));
    WEIR_TRY(promotion_compute(promotion, &nothing, reterr));
    bool gated = promotion->model->gate_count > promotion->model->aside_count && !nothing;
    WEIR_TRY(gated ? land_gated(promotion, outcome, ret_landing, &snapshot_id, reterr)
                   : land(promotion, NULL, ret_landing, &snapshot_id, reterr));
    if (*ret_landing != WEIR_LANDED)
        return WEIR_OK;
    tell(promotion, outcome, snapshot_id);
    WEIR_TRY(pins_drop(promotion, reterr));
    return aside_sync(promotion, reterr);
}

static weir_status promote_once(const struct weir_promote_options *options, json_t *outcome,
                                enum weir_landing *ret_landing, struct weir_error *reterr)
{
    struct promotion promotion;
    bool due = false;
    weir_status status = prepare(&promotion, options, reterr);
    *ret_landing = WEIR_SUPERSEDED;
    if (status == WEIR_NOT_FOUND) { /* a source that is not there yet: nothing to promote */
        json_object_set_new(outcome, "reason", json_string(reterr ? reterr->text : "no source"));
        status = WEIR_OK;
    } else if (status == WEIR_OK) {
        status = promotion_due(&promotion, &due, reterr);
        if (status == WEIR_OK && due)
            status = promote_due(&promotion, outcome, ret_landing, reterr);
        else if (status == WEIR_OK && promotion.why)
            json_object_set_new(outcome, "reason", json_string(promotion.why));
        if (status == WEIR_OK && !due && promotion.table) /* what an earlier run left */
            status = aside_sync(&promotion, reterr);
    }
    promotion_close(&promotion);
    return status;
}

static json_t *outcome_new(const struct weir_promote_options *options)
{
    return json_pack("{s:s, s:s, s:b}", "table", options->model->table.name, "mode",
                     promotion_mode(options->model->mode), "idle", 1);
}

weir_status weir_promote(const struct weir_promote_options *options, json_t **ret_outcome,
                         struct weir_error *reterr)
{
    json_t *outcome = outcome_new(options);
    weir_status status = WEIR_OK;
    enum weir_landing landing = WEIR_ABANDONED;
    for (int round = 0; status == WEIR_OK && landing == WEIR_ABANDONED; round++) {
        if (round == ROUNDS_MAX)
            status = weir_fail(reterr, WEIR_PRECONDITION, "%s: %d races lost in a row",
                               options->model->table.name, ROUNDS_MAX);
        else if (options->model->mode == WEIR_MODEL_VIEW)
            landing = WEIR_SUPERSEDED;
        else
            status = promote_once(options, outcome, &landing, reterr);
    }
    if (status != WEIR_OK)
        json_object_set_new(outcome, "error", json_string(reterr ? reterr->text : ""));
    *ret_outcome = outcome;
    return status;
}

/* ---- candidates ---- */

static weir_status find_candidate(struct promotion *promotion, char **ret_branch,
                                  struct weir_error *reterr)
{
    const char *name;
    json_t *ref;
    WEIR_TRY(promotion_load(promotion, reterr));
    if (promotion->table)
        json_object_foreach(
            json_object_get(weir_metadata_document(promotion->table->metadata), "refs"), name, ref)
        {
            if (strncmp(name, GATE_PREFIX, strlen(GATE_PREFIX)) == 0)
                return weir_arena_copy(&promotion->arena, name, strlen(name), ret_branch, reterr);
        }
    return weir_fail(reterr, WEIR_NOT_FOUND, "%s has no candidate that a gate held back",
                     promotion->model->table.name);
}

weir_status weir_promote_accept(const struct weir_promote_options *options, json_t **ret_outcome,
                                struct weir_error *reterr)
{
    struct promotion promotion = {
        .options = options, .model = options->model, .lake = options->lake};
    enum weir_landing landing = WEIR_ABANDONED;
    char *branch;
    int64_t candidate = 0;
    weir_arena_init(&promotion.arena, &options->lake->context->memory);
    aside_init(&promotion);
    weir_status status = find_candidate(&promotion, &branch, reterr);
    if (status == WEIR_OK) {
        weir_metadata_ref(promotion.table->metadata, branch, &candidate);
        status = weir_publish(options->lake, &promotion.table, branch, &landing, reterr);
    }
    if (status == WEIR_OK && landing != WEIR_ABANDONED)
        status = aside_sync(&promotion, reterr);
    if (status == WEIR_OK && landing == WEIR_ABANDONED)
        status = weir_fail(reterr, WEIR_DECISION,
                           "%s has moved on since the candidate was made: run the promotion again",
                           options->model->table.name);
    json_t *outcome = outcome_new(options);
    if (status == WEIR_OK) {
        json_object_set_new(outcome, "idle", json_false());
        json_object_set_new(outcome, "reason", json_string("accepted"));
        json_object_set_new(outcome, "snapshot", json_integer(candidate));
    }
    promotion_close(&promotion);
    *ret_outcome = outcome;
    return status;
}

weir_status weir_promote_discard(const struct weir_promote_options *options, json_t **ret_outcome,
                                 struct weir_error *reterr)
{
    struct promotion promotion = {
        .options = options, .model = options->model, .lake = options->lake};
    char *branch;
    size_t count = 0;
    weir_arena_init(&promotion.arena, &options->lake->context->memory);
    weir_status status = find_candidate(&promotion, &branch, reterr);
    if (status == WEIR_OK)
        status = drop_candidates(&promotion, &count, reterr);
    json_t *outcome = outcome_new(options);
    json_object_set_new(outcome, "discarded", json_integer((json_int_t)count));
    promotion_close(&promotion);
    *ret_outcome = outcome;
    return status;
}

/* ---- plans ---- */

static weir_status plan_sources(struct promotion *promotion, json_t *plan,
                                struct weir_error *reterr)
{
    bool due;
    json_t *sources = json_object_get(plan, "sources");
    WEIR_TRY(promotion_due(promotion, &due, reterr));
    if (!promotion->why)
        return WEIR_OK;
    json_object_set_new(plan, "reason", json_string(promotion->why));
    WEIR_TRY(promotion_differences(promotion, reterr));
    json_object_set_new(plan, "due", json_boolean(due));
    for (size_t i = 0; i < promotion->source_count; i++) {
        const struct source *source = &promotion->sources[i];
        if (source->changed)
            json_array_append_new(
                sources, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "table", source->name, "from",
                                   (json_int_t)source->from, "to", (json_int_t)source->to,
                                   "files_added", (json_int_t)source->difference.added_count,
                                   "files_removed", (json_int_t)source->difference.removed_count,
                                   "rows_added", (json_int_t)source->difference.added_rows));
    }
    return WEIR_OK;
}

weir_status weir_promote_plan(const struct weir_promote_options *options, json_t **ret_plan,
                              struct weir_error *reterr)
{
    struct promotion promotion;
    struct weir_error error;
    json_t *plan = json_pack("{s:s, s:s, s:b, s:[]}", "table", options->model->table.name, "mode",
                             promotion_mode(options->model->mode), "due", 0, "sources");
    if (options->model->mode == WEIR_MODEL_VIEW) {
        *ret_plan = plan;
        return WEIR_OK;
    }
    weir_status status = prepare(&promotion, options, &error);
    if (status == WEIR_OK)
        status = plan_sources(&promotion, plan, &error);
    promotion_close(&promotion);
    if (status == WEIR_NOT_FOUND || status == WEIR_DECISION) { /* what the run would stop at */
        json_object_set_new(plan, "reason", json_string(error.text));
        status = WEIR_OK;
    }
    if (status == WEIR_OK) {
        *ret_plan = plan;
        return WEIR_OK;
    }
    json_decref(plan);
    if (reterr)
        *reterr = error;
    return status;
}
