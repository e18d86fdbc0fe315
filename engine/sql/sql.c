/* Text -> plan: the stages in order, and errors brought back to the user's text. */
#include "engine/sql/sql.h"

#include "engine/sql/lineage_int.h"
#include "engine/sql/rewrite_int.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* ---- parsing --------------------------------------------------------------------------------- */

/* libpg_query recurses, over 2 KiB a level: a few thousand NOTs are more than a thread usually has.
 */
#define STACK_SIZE ((size_t)64 << 20)
#define DEEP_SIZE  2000 /* bytes of text from which on a stack of its own is needed */

static void *parse_tree(void *self)
{
    struct parsed *parsed = self;
    parsed->result = pg_query_parse_protobuf((const char *)parsed->buffer.data);
    if (!parsed->result.error)
        parsed->tree = pg_query__parse_result__unpack(
            NULL, parsed->result.parse_tree.len, (const uint8_t *)parsed->result.parse_tree.data);
    return NULL;
}

static void *free_tree(void *self)
{
    struct parsed *parsed = self;
    pg_query__parse_result__free_unpacked(parsed->tree, NULL);
    parsed->tree = NULL;
    return NULL;
}

/* On this stack where the text is short, or there is no thread to be had. */
static void on_deep_stack(void *(*work)(void *), struct parsed *parsed)
{
    pthread_attr_t attributes;
    pthread_t thread;
    bool own = false;
    if (parsed->buffer.size >= DEEP_SIZE && pthread_attr_init(&attributes) == 0) {
        own = pthread_attr_setstacksize(&attributes, STACK_SIZE) == 0 &&
              pthread_create(&thread, &attributes, work, parsed) == 0;
        pthread_attr_destroy(&attributes);
    }
    if (own)
        pthread_join(thread, NULL);
    else
        (void)work(parsed);
}

weir_status sql_parse(struct sql *sql, const char *text, struct parsed *ret,
                      struct weir_error *reterr)
{
    *ret = (struct parsed){.text = text};
    weir_account_init(&ret->account, sql->arena->account, "sql text", 0);
    weir_buffer_init(&ret->buffer, &ret->account);
    WEIR_TRY(sql_rewrite(sql, text, &ret->buffer, &ret->rewritten, reterr));
    sql->rewritten = ret->rewritten.names;
    sql->rewritten_count = ret->rewritten.name_count;
    on_deep_stack(parse_tree, ret);
    if (ret->result.error)
        return weir_bind_wrong(&sql->binder, ret->result.error->cursorpos - 1, reterr, "%s",
                               ret->result.error->message);
    if (!ret->tree)
        return weir_fail(reterr, WEIR_USAGE, "the statement is nested too deeply");
    if (ret->tree->n_stmts != 1)
        return weir_fail(reterr, WEIR_USAGE, "%zu statements where one is wanted",
                         ret->tree->n_stmts);
    return WEIR_OK;
}

void parsed_done(struct parsed *parsed)
{
    if (parsed->tree)
        on_deep_stack(free_tree, parsed);
    pg_query_free_protobuf_parse_result(parsed->result);
    weir_buffer_done(&parsed->buffer);
}

weir_status parsed_select(const struct parsed *parsed, enum weir_sql_kind *ret_kind,
                          const PgQuery__SelectStmt **ret_select, struct weir_error *reterr)
{
    const PgQuery__Node *node = parsed->tree->stmts[0]->stmt;
    enum weir_sql_kind kind = WEIR_SQL_QUERY;
    if (ret_kind && node->node_case == PG_QUERY__NODE__NODE_EXPLAIN_STMT) {
        kind = WEIR_SQL_EXPLAIN;
        for (size_t i = 0; i < node->explain_stmt->n_options; i++)
            if (strcmp(node->explain_stmt->options[i]->def_elem->defname, "analyze") == 0)
                kind = WEIR_SQL_EXPLAIN_ANALYZE;
        node = node->explain_stmt->query;
    }
    if (!node || node->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return weir_fail(reterr, WEIR_USAGE,
                         "only queries: SELECT, WITH, VALUES, TABLE, EXPLAIN; SQL never writes to "
                         "the lake here");
    if (ret_kind)
        *ret_kind = kind;
    *ret_select = node->select_stmt;
    return WEIR_OK;
}

struct statement {
    struct sql sql;
    struct parsed parsed;
};

static void statement_init(struct statement *statement, struct weir_arena *arena, const char *text,
                           const struct weir_sql_options *options)
{
    *statement = (struct statement){
        .sql = {.arena = arena,
                .options = options,
                .text = text,
                .binder = {.arena = arena, .now_micros = options->now_micros, .location = -1}}};
}

/* The byte of the user's text that an error is at, or -1. */
static int statement_done(struct statement *statement)
{
    int at = statement->sql.binder.location;
    if (at >= 0)
        at = sql_original(&statement->parsed.rewritten, at);
    parsed_done(&statement->parsed);
    for (struct parsed *view = statement->sql.views; view; view = view->next)
        parsed_done(view);
    return at;
}

static weir_status plan_statement(struct statement *statement, struct weir_sql_plan *ret_plan,
                                  struct weir_error *reterr)
{
    struct sql *sql = &statement->sql;
    const PgQuery__SelectStmt *select;
    struct weir_sql_plan made;
    struct logical *plan;
    struct numbers columns = {0};
    const char **names;
    WEIR_TRY(parsed_select(&statement->parsed, &made.kind, &select, reterr));
    WEIR_TRY(sql_bind_query(sql, select, &plan, &columns, &names, reterr));
    WEIR_TRY(sql_decorrelate(sql, &plan, reterr));
    if (!sql->options->unoptimized)
        WEIR_TRY(sql_optimize(sql, &plan, &columns, reterr));
    WEIR_TRY(sql_physical(sql, plan, &columns, names, &made.root, reterr));
    *ret_plan = made;
    return WEIR_OK;
}

weir_status weir_sql_plan(struct weir_arena *arena, const char *text,
                          const struct weir_sql_options *options, struct weir_sql_plan *ret_plan,
                          int *ret_location, struct weir_error *reterr)
{
    struct statement statement;
    statement_init(&statement, arena, text, options);
    weir_status status = sql_parse(&statement.sql, text, &statement.parsed, reterr);
    if (status == WEIR_OK)
        status = plan_statement(&statement, ret_plan, reterr);
    int location = statement_done(&statement);
    if (ret_location)
        *ret_location = location;
    return status;
}

/* ---- where columns come from ---- */

static weir_status trace_statement(struct statement *statement, struct weir_lineage *ret,
                                   struct weir_error *reterr)
{
    const PgQuery__SelectStmt *select;
    struct logical *plan;
    struct numbers columns = {0};
    const char **names;
    WEIR_TRY(parsed_select(&statement->parsed, NULL, &select, reterr));
    WEIR_TRY(sql_bind_query(&statement->sql, select, &plan, &columns, &names, reterr));
    return lineage_trace(&statement->sql, plan, &columns, names, ret, reterr);
}

weir_status weir_sql_lineage(struct weir_arena *arena, const char *text,
                             const struct weir_sql_options *options, struct weir_lineage *ret,
                             int *ret_location, struct weir_error *reterr)
{
    struct statement statement;
    statement_init(&statement, arena, text, options);
    weir_status status = sql_parse(&statement.sql, text, &statement.parsed, reterr);
    if (status == WEIR_OK)
        status = trace_statement(&statement, ret, reterr);
    int location = statement_done(&statement);
    if (ret_location)
        *ret_location = location;
    return status;
}

/* ---- tables of a query, for the graph ---- */

struct tables {
    struct sql *sql;
    struct weir_table_name *names;
    size_t count, capacity;
};

static bool is_cte(const ProtobufCMessage *message, const char *name);

static weir_status table_add(struct tables *tables, const PgQuery__RangeVar *range,
                             struct weir_error *reterr)
{
    struct weir_table_name name = {0};
    const char *given[3] = {range->catalogname, range->schemaname, range->relname};
    unsigned number;
    char tail;
    if (sscanf(range->relname, "_weir_table_%u%c", &number, &tail) == 1 &&
        number < tables->sql->rewritten_count) {
        name = tables->sql->rewritten[number];
    } else {
        for (int i = 0; i < 3; i++)
            if (*given[i]) {
                char *copy;
                WEIR_TRY(
                    weir_arena_copy(tables->sql->arena, given[i], strlen(given[i]), &copy, reterr));
                name.parts[name.part_count++] = copy;
            }
    }
    for (size_t t = 0; t < tables->count; t++) {
        bool same = tables->names[t].part_count == name.part_count;
        for (size_t i = 0; same && i < name.part_count; i++)
            same = strcmp(tables->names[t].parts[i], name.parts[i]) == 0;
        if (same)
            return WEIR_OK;
    }
    if (tables->count == tables->capacity)
        return weir_fail(reterr, WEIR_USAGE, "more than %zu tables", tables->capacity);
    tables->names[tables->count++] = name;
    return WEIR_OK;
}

static weir_status visit_tables(struct tables *tables, const ProtobufCMessage *root,
                                const ProtobufCMessage *message, struct weir_error *reterr)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    if (descriptor == &pg_query__range_var__descriptor) {
        const PgQuery__RangeVar *range = (const PgQuery__RangeVar *)message;
        if (!*range->schemaname && is_cte(root, range->relname))
            return WEIR_OK;
        return table_add(tables, range, reterr);
    }
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const char *base = (const char *)message;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        size_t items = 1;
        ProtobufCMessage *const *list = (ProtobufCMessage *const *)(base + field->offset);
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            items = *(const size_t *)(base + field->quantifier_offset);
            list = *(ProtobufCMessage *const *const *)(base + field->offset);
        } else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
                   *(const uint32_t *)(base + field->quantifier_offset) != field->id) {
            continue;
        }
        for (size_t k = 0; k < items; k++)
            if (list[k])
                WEIR_TRY(visit_tables(tables, root, list[k], reterr));
    }
    return WEIR_OK;
}

static bool is_cte(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    if (descriptor == &pg_query__common_table_expr__descriptor &&
        strcmp(((const PgQuery__CommonTableExpr *)message)->ctename, name) == 0)
        return true;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const char *base = (const char *)message;
        size_t items = 1;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        ProtobufCMessage *const *list = (ProtobufCMessage *const *)(base + field->offset);
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            items = *(const size_t *)(base + field->quantifier_offset);
            list = *(ProtobufCMessage *const *const *)(base + field->offset);
        } else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
                   *(const uint32_t *)(base + field->quantifier_offset) != field->id) {
            continue;
        }
        for (size_t k = 0; k < items; k++)
            if (list[k] && is_cte(list[k], name))
                return true;
    }
    return false;
}

weir_status weir_sql_tables(struct weir_arena *arena, const char *text,
                            struct weir_table_name **ret_names, size_t *ret_count,
                            int *ret_location, struct weir_error *reterr)
{
    static const struct weir_sql_options none;
    struct statement statement;
    statement_init(&statement, arena, text, &none);
    struct tables tables = {.sql = &statement.sql, .capacity = 1000};
    weir_status status = sql_parse(&statement.sql, text, &statement.parsed, reterr);
    if (status == WEIR_OK)
        status = weir_arena_zero(arena, tables.capacity, sizeof *tables.names, &tables.names,
                                 reterr);
    if (status == WEIR_OK)
        status = visit_tables(&tables, &statement.parsed.tree->base, &statement.parsed.tree->base,
                              reterr);
    int location = statement_done(&statement);
    if (ret_location)
        *ret_location = location;
    if (status != WEIR_OK)
        return status;
    *ret_names = tables.names;
    *ret_count = tables.count;
    return WEIR_OK;
}

/* ---- errors ---- */

void weir_sql_place(const char *text, int location, int *ret_line, int *ret_column)
{
    *ret_line = *ret_column = 1;
    for (int i = 0; i < location && text[i]; i++) {
        if (text[i] == '\n') {
            ++*ret_line;
            *ret_column = 1;
        } else if ((text[i] & 0xC0) != 0x80) {
            ++*ret_column;
        }
    }
}

weir_status weir_sql_excerpt(const char *text, int location, struct weir_buffer *out,
                             struct weir_error *reterr)
{
    int line, column, start = location;
    if (location < 0 || (size_t)location > strlen(text))
        return WEIR_OK;
    weir_sql_place(text, location, &line, &column);
    while (start > 0 && text[start - 1] != '\n')
        start--;
    int size = (int)strcspn(text + start, "\n");
    char number[24];
    int width = snprintf(number, sizeof number, "%d", line);
    return weir_buffer_print(out, reterr, "%s | %.*s\n%*s | %*s^\n", number, size, text + start,
                             width, "", column - 1, "");
}
