/* Rows that a check with on_fail: quarantine sets aside: they are not written to the table, and
 * kept as letters (scheduler/commit/letters.h): the list that the table's own commit names is the
 * truth, the table {table}__quarantine follows it. Rows that came
 * too late (closed.c) are kept the same way in {table}__late.
 *
 * A row is judged before it is asked which of several wins its key, so the last good row stays when
 * a bad one comes. What is set aside is what the SQL gives and the checks refuse, no more: where
 * keys are computed anew, so are the rows of these keys here.
 *   weir.aside   what is there       weir.qold   of the touched keys
 *   weir.qnew    what is to be there of them, weir.qadd = qnew - qold, weir.qgone = qold - qnew */
#include "scheduler/commit/letters.h"
#include "scheduler/promote/promote_int.h"

#include <string.h>

#define ASIDE_COLUMNS "checks, key, record"
#define COLUMNS_MAX   3

struct aside_kind {
    const char *which, *suffix; /* of the list in the state; of the table's name */
    int column_count;
    struct {
        const char *name, *doc;
        bool required;
    } columns[COLUMNS_MAX];
};

static const struct aside_kind kinds[] = {
    {WEIR_LETTERS,
     "quarantine",
     3,
     {{"checks", "names of the checks that the row breaks", true},
      {"key", "the row's key, as JSON", false},
      {"record", "the row, as JSON", true}}},
    {WEIR_LATE,
     "late",
     2,
     {{"source", "the table that the row came to", true}, {"record", "the row, as JSON", true}}}};

void aside_init(struct promotion *promotion)
{
    promotion->aside.kind = &kinds[0];
    promotion->late.kind = &kinds[1];
    promotion->aside.gone = json_object();
}

/* ---- texts ---- */

static weir_status literal(struct promotion *promotion, const char *text, char **ret_literal,
                           struct weir_error *reterr)
{
    char *out;
    size_t used = 0;
    WEIR_TRY(weir_arena_zero(&promotion->arena, 2 * strlen(text) + 3, 1, &out, reterr));
    out[used++] = '\'';
    for (; *text; text++) {
        if (*text == '\'')
            out[used++] = '\'';
        out[used++] = *text;
    }
    out[used] = '\'';
    *ret_literal = out;
    return WEIR_OK;
}

/* {'a': "a", 'b': "b"} of the keys, or of all columns. */
static weir_status object(struct promotion *promotion, bool keys, char **ret_text,
                          struct weir_error *reterr)
{
    size_t count = keys ? promotion->model->key_count : promotion->columns.child_count;
    char none[] = "", *list = none, *label;
    for (size_t i = 0; i < count; i++) {
        const char *name =
            promotion->columns.children[keys ? promotion->keys[i] : (uint32_t)i].name;
        WEIR_TRY(literal(promotion, name, &label, reterr));
        WEIR_TRY(weir_arena_print(&promotion->arena, &list, reterr, "%s%s%s: \"%s\"", list,
                                  i ? ", " : "", label, name));
    }
    return weir_arena_print(&promotion->arena, ret_text, reterr, "to_json({%s})", list);
}

/* The rows and weir_checks: names of what each breaks, '' for a good one. Of equal rows, where one
 * is to stay, a good one does. */
static weir_status judged(struct promotion *promotion, const char *rows, char **ret_text,
                          struct weir_error *reterr)
{
    const struct weir_model_config *model = promotion->model;
    char none[] = "", *conditions = none, *uniques = none, *name;
    struct weir_arena *arena = &promotion->arena;
    for (size_t i = 0; i < model->gate_count; i++) {
        const struct weir_gate *gate = &model->gates[i];
        if (gate->on_fail != WEIR_ON_FAIL_QUARANTINE)
            continue;
        WEIR_TRY(literal(promotion, gate->name, &name, reterr));
        if (gate->bad)
            WEIR_TRY(weir_arena_print(arena, &conditions, reterr, "%s, CASE WHEN %s THEN %s END",
                                      conditions, gate->bad, name));
        else
            WEIR_TRY(weir_arena_print(arena, &uniques, reterr,
                                      "%s, CASE WHEN row_number() OVER (PARTITION BY %s ORDER BY "
                                      "weir_checks <> '', weir_row) > 1 THEN %s END",
                                      uniques, gate->unique, name));
    }
    char *whole;
    WEIR_TRY(object(promotion, false, &whole, reterr));
    WEIR_TRY(weir_arena_print(arena, ret_text, reterr,
                              "SELECT %s, concat_ws(', '%s, NULL::text) AS weir_checks%s%s%s FROM "
                              "(%s) weir_t",
                              promotion->column_list, conditions, *uniques ? ", " : "",
                              *uniques ? whole : "", *uniques ? " AS weir_row" : "", rows));
    if (!*uniques)
        return WEIR_OK;
    return weir_arena_print(arena, ret_text, reterr,
                            "SELECT %s, concat_ws(', ', nullif(weir_checks, '')%s) AS weir_checks "
                            "FROM (%s) weir_t",
                            promotion->column_list, uniques, *ret_text);
}

weir_status aside_good(struct promotion *promotion, const char *rows, char **ret_text,
                       struct weir_error *reterr)
{
    char *text;
    if (!promotion->model->aside_count)
        return weir_arena_print(&promotion->arena, ret_text, reterr, "%s", rows);
    WEIR_TRY(judged(promotion, rows, &text, reterr));
    return weir_arena_print(&promotion->arena, ret_text, reterr,
                            "SELECT %s FROM (%s) weir_j WHERE weir_checks = ''",
                            promotion->column_list, text);
}

weir_status aside_bad(struct promotion *promotion, const char *rows, char **ret_text,
                      struct weir_error *reterr)
{
    char *text, *key, *record, null[] = "NULL::text";
    WEIR_TRY(judged(promotion, rows, &text, reterr));
    WEIR_TRY(object(promotion, false, &record, reterr));
    key = null;
    if (promotion->model->key_count)
        WEIR_TRY(object(promotion, true, &key, reterr));
    return weir_arena_print(
        &promotion->arena, ret_text, reterr,
        "SELECT weir_checks AS checks, %s AS key, %s AS record FROM (%s) weir_j "
        "WHERE weir_checks <> ''",
        key, record, text);
}

/* ---- the table of what was set aside ---- */

bool aside_concerns(const struct promotion *promotion)
{
    return promotion->model->aside_count > 0 || json_object_get(promotion->truth, "letters");
}

/* Unpartitioned, of three texts; none of them in any file's bounds, for they are made of values
 * that may name a person. */
static weir_status make_shape(struct promotion *promotion, struct aside *aside,
                              struct weir_error *reterr)
{
    const struct aside_kind *kind = aside->kind;
    int count = kind->column_count;
    struct weir_column_config *columns;
    struct weir_field *fields;
    char *name;
    WEIR_TRY(weir_arena_zero(&promotion->arena, (size_t)count, sizeof *fields, &fields, reterr));
    WEIR_TRY(weir_arena_zero(&promotion->arena, (size_t)count, sizeof *columns, &columns, reterr));
    WEIR_TRY(weir_arena_print(&promotion->arena, &name, reterr, "%s__%s",
                              promotion->model->table.name, kind->suffix));
    for (int i = 0; i < count; i++) {
        fields[i] = (struct weir_field){.name = kind->columns[i].name,
                                        .required = kind->columns[i].required,
                                        .doc = kind->columns[i].doc,
                                        .type = {.id = WEIR_STRING}};
        columns[i] = (struct weir_column_config){.path = fields[i].name, .bounds_given = true};
    }
    aside->config = (struct weir_table_config){
        .name = name,
        .layer = promotion->model->table.layer,
        .short_name = strrchr(name, '.') + 1,
        .columns = {.id = WEIR_STRUCT, .child_count = (uint32_t)count, .children = fields},
        .column_configs = columns,
        .column_config_count = (size_t)count,
        .codec = promotion->model->table.codec,
        .codec_level = promotion->model->table.codec_level,
        .file_size = promotion->model->table.file_size,
        .row_group_size = promotion->model->table.row_group_size};
    return weir_shape_make(&promotion->arena, &aside->config, NULL, &aside->shape, reterr);
}

static void highest_class(const struct weir_graph_table *table, const char **highest)
{
    json_t *classes = table ? weir_graph_properties(table, NULL) : NULL, *value;
    const char *key;
    json_object_foreach(classes, key, value)
    {
        const char *text = json_string_value(value);
        if (!text || strcmp(text, "none") == 0)
            continue;
        if (!*highest || strcmp(text, "personal") == 0)
            *highest = strcmp(text, "personal") == 0 ? "personal" : "pseudonymous";
    }
    json_decref(classes);
}

/* A record is of the highest class of what it is made of: the model's columns, or the sources'. */
static json_t *properties_of(const struct promotion *promotion, const struct aside *aside)
{
    json_t *properties = json_object();
    const char *highest = NULL;
    if (aside == &promotion->aside)
        highest_class(promotion->traced, &highest);
    else
        for (size_t i = 0; promotion->graph && i < promotion->source_count; i++)
            highest_class(weir_graph_find(promotion->graph, promotion->sources[i].name), &highest);
    if (highest)
        json_object_set_new(properties, "weir.class.record", json_string(highest));
    if (highest && aside == &promotion->aside && promotion->model->key_count)
        json_object_set_new(properties, "weir.class.key", json_string(highest));
    return properties;
}

static weir_status sync_one(struct promotion *promotion, struct aside *aside,
                            struct weir_error *reterr)
{
    if (!aside->config.name)
        WEIR_TRY(make_shape(promotion, aside, reterr));
    json_t *state = weir_state_new(), *properties = properties_of(promotion, aside);
    struct weir_birth birth = {.name = aside->config.name,
                               .schema = &aside->shape.schema,
                               .spec = aside->shape.spec,
                               .properties = properties,
                               .state = state};
    weir_status status = weir_quarantine_sync(promotion->lake, promotion->table, aside->kind->which,
                                              &birth, &aside->table, reterr);
    json_decref(state);
    json_decref(properties);
    return status;
}

weir_status aside_sync(struct promotion *promotion, struct weir_error *reterr)
{
    if (aside_concerns(promotion) || promotion->aside.changed)
        WEIR_TRY(sync_one(promotion, &promotion->aside, reterr));
    return promotion->late.changed || json_object_get(promotion->truth, WEIR_LATE)
               ? sync_one(promotion, &promotion->late, reterr)
               : WEIR_OK;
}

/* ---- what changes in it ---- */

weir_status aside_write(struct promotion *promotion, struct aside *aside, const char *text,
                        struct weir_error *reterr)
{
    if (!aside->config.name)
        WEIR_TRY(make_shape(promotion, aside, reterr));
    if (!aside->writer) {
        char *root;
        WEIR_TRY(weir_arena_print(&promotion->arena, &root, reterr, "%s/_weir/%s/%s",
                                  promotion->lake->store.root_uri, aside->kind->which,
                                  weir_metadata_uuid(promotion->table->metadata)));
        struct weir_table_writer_options options = {
            .lake = promotion->lake,
            .table = &aside->config,
            .shape = &aside->shape,
            .table_location = root,
            .attempt = weir_snapshot_id(promotion->lake->context, promotion->table->metadata)};
        WEIR_TRY(weir_table_writer_new(&options, &aside->writer, reterr));
    }
    return statement_write_to(promotion, text, aside->writer, reterr);
}

weir_status aside_replace(struct promotion *promotion, struct weir_error *reterr)
{
    json_t *list, *file;
    size_t at;
    WEIR_TRY(weir_letters_read(promotion->lake, promotion->truth, WEIR_LETTERS, &list, reterr));
    json_array_foreach(json_object_get(list, "files"), at, file) json_object_set_new(
        promotion->aside.gone, json_string_value(json_object_get(file, "path")), json_true());
    json_decref(list);
    return WEIR_OK;
}

/* weir.aside: what is there. */
static weir_status open_aside(struct promotion *promotion, struct weir_error *reterr)
{
    struct aside *aside = &promotion->aside;
    if (!weir_metadata_ref(aside->table->metadata, "main", &aside->head))
        return weir_fail(reterr, WEIR_DECISION, "branch main of %s is gone", aside->config.name);
    return promotion_rows(promotion, "weir.aside", aside->table, aside->head, NULL, reterr);
}

weir_status aside_keep(struct promotion *promotion, struct weir_error *reterr)
{
    char *open, *text;
    if (!promotion->aside.table)
        return WEIR_OK;
    WEIR_TRY(open_aside(promotion, reterr));
    WEIR_TRY(closed_open_key(promotion, "a", &open, reterr));
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT " ASIDE_COLUMNS " FROM weir.aside a WHERE NOT (%s)", open));
    return aside_write(promotion, &promotion->aside, text, reterr);
}

/* Files that hold a row that goes, without these rows, and what comes. */
static weir_status rewrite(struct promotion *promotion, char **ret_text, struct weir_error *reterr)
{
    struct path_set paths;
    WEIR_TRY(statement_texts(promotion,
                             "SELECT DISTINCT _file FROM weir.qold o WHERE EXISTS (SELECT 1 FROM "
                             "weir.qgone g WHERE g.record = o.record)",
                             &paths, reterr));
    struct path_set *kept;
    WEIR_TRY(weir_arena_zero(&promotion->arena, 1, sizeof *kept, &kept, reterr));
    *kept = paths;
    for (size_t i = 0; i < paths.count; i++)
        json_object_set_new(promotion->aside.gone, paths.paths[i], json_true());
    WEIR_TRY(promotion_rows(promotion, "weir.qfiles", promotion->aside.table, promotion->aside.head,
                            kept, reterr));
    return weir_arena_print(&promotion->arena, ret_text, reterr,
                            "(SELECT " ASIDE_COLUMNS
                            " FROM weir.qfiles EXCEPT ALL SELECT " ASIDE_COLUMNS
                            " FROM weir.qgone) UNION ALL SELECT " ASIDE_COLUMNS " FROM weir.qadd");
}

/* weir.qold: the rows there are of weir.keys. */
static weir_status old_rows(struct promotion *promotion, bool everything, struct weir_error *reterr)
{
    struct aside *aside = &promotion->aside;
    char *match, *key, *text;
    if (!aside->table)
        return statement_keep(promotion, "weir.qold",
                              "SELECT " ASIDE_COLUMNS ", '' AS _file FROM weir.qnew WHERE false",
                              true, NULL, reterr);
    WEIR_TRY(open_aside(promotion, reterr));
    if (everything) {
        WEIR_TRY(closed_open_key(promotion, "a", &match, reterr));
    } else {
        WEIR_TRY(object(promotion, true, &key, reterr));
        WEIR_TRY(weir_arena_print(&promotion->arena, &match, reterr,
                                  "EXISTS (SELECT 1 FROM (SELECT %s AS key FROM weir.keys) k WHERE "
                                  "k.key = a.key)",
                                  key));
    }
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT " ASIDE_COLUMNS ", _file FROM weir.aside a WHERE %s", match));
    return statement_keep(promotion, "weir.qold", text, true, NULL, reterr);
}

weir_status aside_change(struct promotion *promotion, const char *rows, bool everything,
                         struct weir_error *reterr)
{
    char *text;
    uint64_t add, gone;
    if (!aside_concerns(promotion))
        return WEIR_OK;
    WEIR_TRY(aside_bad(promotion, rows, &text, reterr));
    WEIR_TRY(statement_keep(promotion, "weir.qnew", text, true, NULL, reterr));
    WEIR_TRY(old_rows(promotion, everything, reterr));
    WEIR_TRY(statement_keep(promotion, "weir.qadd",
                            "SELECT " ASIDE_COLUMNS
                            " FROM weir.qnew EXCEPT ALL SELECT " ASIDE_COLUMNS " FROM weir.qold",
                            true, &add, reterr));
    WEIR_TRY(statement_keep(promotion, "weir.qgone",
                            "SELECT " ASIDE_COLUMNS
                            " FROM weir.qold EXCEPT ALL SELECT " ASIDE_COLUMNS " FROM weir.qnew",
                            true, &gone, reterr));
    promotion->aside.rows = (int64_t)add;
    if (gone) {
        WEIR_TRY(rewrite(promotion, &text, reterr));
        return aside_write(promotion, &promotion->aside, text, reterr);
    }
    return add ? aside_write(promotion, &promotion->aside,
                             "SELECT " ASIDE_COLUMNS " FROM weir.qadd", reterr)
               : WEIR_OK;
}

static weir_status finish_one(struct aside *aside, struct weir_error *reterr)
{
    if (aside->writer)
        WEIR_TRY(weir_table_writer_finish(aside->writer, &aside->files, reterr));
    aside->changed = aside->files.count || json_object_size(aside->gone);
    if (!aside->rows)
        aside->rows = aside->files.rows;
    return WEIR_OK;
}

weir_status aside_finish(struct promotion *promotion, struct weir_error *reterr)
{
    WEIR_TRY(finish_one(&promotion->aside, reterr));
    return finish_one(&promotion->late, reterr);
}

json_t *aside_receipt(const struct aside *aside)
{
    const struct weir_table_files *files = &aside->files;
    json_t *named = json_array();
    for (size_t i = 0; i < files->count; i++)
        json_array_append_new(named, json_pack("{s:s, s:I, s:I, s:s}", "path", files->files[i].path,
                                               "rows", (json_int_t)files->files[i].record_count,
                                               "size", (json_int_t)files->files[i].file_size,
                                               "digest", files->digests[i]));
    return named;
}

static weir_status overlay_one(const struct promotion *promotion, const struct aside *aside,
                               json_t *state, int64_t snapshot_id, struct weir_error *reterr)
{
    if (!aside->changed)
        return WEIR_OK;
    json_t *added = json_array();
    for (size_t i = 0; i < aside->files.count; i++)
        json_array_append_new(
            added, weir_data_file_to_json(&aside->files.files[i], aside->files.digests[i]));
    weir_status status = json_array_size(added) == aside->files.count
                             ? weir_letters_change(promotion->lake,
                                                   weir_metadata_uuid(promotion->table->metadata),
                                                   snapshot_id, aside->kind->which, aside->gone,
                                                   added, state, reterr)
                             : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a list of letters");
    json_decref(added);
    return status;
}

weir_status aside_overlay(const struct promotion *promotion, json_t *state, int64_t snapshot_id,
                          struct weir_error *reterr)
{
    WEIR_TRY(overlay_one(promotion, &promotion->aside, state, snapshot_id, reterr));
    return overlay_one(promotion, &promotion->late, state, snapshot_id, reterr);
}

/* ---- for people ---- */

static weir_status group(struct promotion *promotion, struct weir_table *table, const char *only,
                         struct path_set *ret_groups, struct weir_error *reterr)
{
    int64_t head;
    char *text, none[] = "true", *match = none;
    struct weir_query_options options = {.context = promotion->lake->context,
                                         .catalog = &promotion->lake->catalog,
                                         .store = &promotion->lake->store,
                                         .now_micros = weir_now_ms(promotion->lake->context) *
                                                       1000};
    if (!weir_metadata_ref(table->metadata, "main", &head))
        return weir_fail(reterr, WEIR_DECISION, "branch main of %s is gone", table->name);
    WEIR_TRY(weir_query_session_new(&options, &promotion->session, reterr));
    WEIR_TRY(promotion_rows(promotion, "weir.aside", table, head, NULL, reterr));
    if (only) {
        WEIR_TRY(literal(promotion, only, &text, reterr));
        WEIR_TRY(weir_arena_print(&promotion->arena, &match, reterr, "checks = %s", text));
    }
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT to_json({'reason': checks, 'count': count(*)}) FROM "
                              "weir.aside WHERE %s GROUP BY checks",
                              match));
    return statement_texts(promotion, text, ret_groups, reterr);
}

weir_status weir_promote_set_aside(struct weir_lake *lake, const struct weir_model_config *model,
                                   const char *only, json_t **ret_groups, struct weir_error *reterr)
{
    struct promotion promotion = {.model = model, .lake = lake};
    struct weir_table *table;
    struct path_set groups = {0};
    char *name;
    weir_arena_init(&promotion.arena, &lake->context->memory);
    weir_status status = weir_arena_print(&promotion.arena, &name, reterr, "%s__quarantine",
                                          model->table.name);
    if (status == WEIR_OK)
        status = lake->catalog.operations->load(lake->catalog.self, name, &table, reterr);
    if (status == WEIR_OK) {
        status = group(&promotion, table, only, &groups, reterr);
        weir_table_free(table);
    } else if (status == WEIR_NOT_FOUND) {
        status = WEIR_OK;
    }
    json_t *told = json_array(), *entry;
    for (size_t i = 0; status == WEIR_OK && i < groups.count; i++) {
        entry = json_loads(groups.paths[i], 0, NULL);
        json_object_set_new(entry, "message",
                            json_sprintf("the row breaks it; the rows: SELECT * FROM %s", name));
        json_array_append_new(told, entry);
    }
    promotion_close(&promotion);
    if (status == WEIR_OK)
        *ret_groups = told;
    else
        json_decref(told);
    return status;
}
