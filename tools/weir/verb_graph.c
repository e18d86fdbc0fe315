/* weir graph: sources, tables, models and sinks, what reads what, and where columns come from. */
#include "tools/weir/cli.h"

#include "scheduler/promote/openlineage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum node_kind { NODE_SOURCE, NODE_TABLE, NODE_SINK };

struct graph_node {
    enum node_kind kind;
    const char *name;
    const struct weir_source_config *source;
    const struct weir_graph_table *table;
    const struct weir_sink_config *sink;
    size_t *reads; /* numbers of nodes */
    size_t read_count;
    bool chosen, printed;
};

struct drawing {
    struct cli *cli;
    const struct weir_pipeline *pipeline;
    struct weir_arena arena;
    struct graph_node *nodes;
    size_t count;
    struct weir_buffer out;
};

/* ---- nodes ---- */

static const char *mode_of(const struct graph_node *node)
{
    static const char *const modes[] = {"append", "merge", "recompute", "full", "view"};
    static const char *const sinks[] = {"opensearch", "webhook", "kafka"};
    if (node->kind == NODE_SOURCE)
        return node->source->is_kafka ? "kafka" : "files";
    if (node->kind == NODE_SINK)
        return sinks[node->sink->kind];
    return node->table->model ? modes[node->table->model->mode] : "";
}

static const char *kind_of(const struct graph_node *node)
{
    if (node->kind != NODE_TABLE)
        return node->kind == NODE_SOURCE ? "source" : "sink";
    if (!node->table->model || node->table->model->files)
        return "table";
    return node->table->model->mode == WEIR_MODEL_VIEW ? "view" : "model";
}

static void add_read(struct drawing *drawing, struct graph_node *node, enum node_kind kind,
                     const char *name)
{
    for (size_t i = 0; name && i < drawing->count; i++)
        if (drawing->nodes[i].kind == kind && strcmp(drawing->nodes[i].name, name) == 0)
            node->reads[node->read_count++] = i;
}

static const char *source_of(const struct drawing *drawing, const struct weir_graph_table *table)
{
    if (table->config->source)
        return table->config->source->name;
    for (size_t i = 0; table->model && table->model->files && i < drawing->pipeline->source_count;
         i++)
        if (drawing->pipeline->sources[i].files &&
            strcmp(drawing->pipeline->sources[i].files, table->model->files) == 0)
            return drawing->pipeline->sources[i].name;
    return NULL;
}

static weir_status add_reads(struct drawing *drawing, struct graph_node *node,
                             struct weir_error *reterr)
{
    size_t room = node->kind == NODE_TABLE ? node->table->read_count + 2 : 2;
    WEIR_TRY(weir_arena_zero(&drawing->arena, room, sizeof *node->reads, &node->reads, reterr));
    if (node->kind == NODE_SINK)
        add_read(drawing, node, NODE_TABLE, node->sink->from ? node->sink->from->name : NULL);
    if (node->kind != NODE_TABLE)
        return WEIR_OK;
    add_read(drawing, node, NODE_SOURCE, source_of(drawing, node->table));
    for (size_t i = 0; i < node->table->read_count; i++)
        add_read(drawing, node, NODE_TABLE, node->table->reads[i]);
    return WEIR_OK;
}

static weir_status add_nodes(struct drawing *drawing, const struct weir_graph *graph,
                             struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = drawing->pipeline;
    size_t room = pipeline->source_count + weir_graph_count(graph) + pipeline->sink_count + 1;
    WEIR_TRY(
        weir_arena_zero(&drawing->arena, room, sizeof *drawing->nodes, &drawing->nodes, reterr));
    for (size_t i = 0; i < pipeline->source_count; i++)
        drawing->nodes[drawing->count++] = (struct graph_node){.kind = NODE_SOURCE,
                                                               .name = pipeline->sources[i].name,
                                                               .source = &pipeline->sources[i]};
    for (size_t i = 0; i < weir_graph_count(graph); i++)
        drawing->nodes[drawing->count++] = (struct graph_node){
            .kind = NODE_TABLE,
            .name = weir_graph_at(graph, i)->name,
            .table = weir_graph_at(graph, i)};
    for (size_t i = 0; i < pipeline->sink_count; i++)
        drawing->nodes[drawing->count++] = (struct graph_node){
            .kind = NODE_SINK, .name = pipeline->sinks[i].name, .sink = &pipeline->sinks[i]};
    for (size_t i = 0; i < drawing->count; i++)
        WEIR_TRY(add_reads(drawing, &drawing->nodes[i], reterr));
    return WEIR_OK;
}

/* ---- what is chosen ---- */

static bool reads_node(const struct graph_node *node, size_t number)
{
    for (size_t i = 0; i < node->read_count; i++)
        if (node->reads[i] == number)
            return true;
    return false;
}

static void choose_up(struct drawing *drawing, size_t number)
{
    struct graph_node *node = &drawing->nodes[number];
    for (size_t i = 0; i < node->read_count; i++)
        if (!drawing->nodes[node->reads[i]].chosen) {
            drawing->nodes[node->reads[i]].chosen = true;
            choose_up(drawing, node->reads[i]);
        }
}

static void choose_down(struct drawing *drawing, size_t number)
{
    for (size_t i = 0; i < drawing->count; i++)
        if (reads_node(&drawing->nodes[i], number) && !drawing->nodes[i].chosen) {
            drawing->nodes[i].chosen = true;
            choose_down(drawing, i);
        }
}

/* One word of -s: a name, a glob, layer:NAME; + in front: and what it reads; behind: and what reads
 * it. */
static weir_status choose(struct drawing *drawing, const char *word, size_t size,
                          struct weir_error *reterr)
{
    bool up = size && word[0] == '+', down = size > up && word[size - 1] == '+', any = false;
    struct cli cli = *drawing->cli;
    char *text;
    bool *hits;
    WEIR_TRY(weir_arena_copy(&drawing->arena, word + up, size - up - down, &text, reterr));
    WEIR_TRY(weir_arena_zero(&drawing->arena, drawing->count + 1, sizeof *hits, &hits, reterr));
    cli.select = text;
    for (size_t i = 0; i < drawing->count; i++)
        any |= hits[i] = cli_selected(&cli, drawing->nodes[i].name);
    for (size_t i = 0; i < drawing->count; i++)
        drawing->nodes[i].chosen |= hits[i];
    for (size_t i = 0; i < drawing->count; i++) {
        if (hits[i] && up)
            choose_up(drawing, i);
        if (hits[i] && down)
            choose_down(drawing, i);
    }
    return any ? WEIR_OK
               : weir_fail(reterr, WEIR_USAGE, "-s %.*s chooses nothing of %s", (int)size, word,
                           drawing->pipeline->file);
}

static weir_status choose_all(struct drawing *drawing, struct weir_error *reterr)
{
    const char *select = drawing->cli->select;
    for (size_t i = 0; !select && i < drawing->count; i++)
        drawing->nodes[i].chosen = true;
    for (const char *at = select; at && *at;) {
        size_t size = strcspn(at, ", ");
        if (size)
            WEIR_TRY(choose(drawing, at, size, reterr));
        at += size + (at[size] != '\0');
    }
    return WEIR_OK;
}

/* ---- as a tree ---- */

static weir_status draw_columns(struct drawing *drawing, const struct graph_node *node, int depth,
                                struct weir_error *reterr)
{
    for (uint32_t i = 0; node->table && i < node->table->column_count; i++) {
        const struct weir_graph_column *column = &node->table->columns[i];
        WEIR_TRY(
            weir_buffer_print(&drawing->out, reterr, "%*s. %s", 2 * depth + 2, "", column->name));
        if (column->class_ != WEIR_CLASS_NONE)
            WEIR_TRY(weir_buffer_print(&drawing->out, reterr, " [%s%s%s]",
                                       weir_class_name(column->class_), column->subject ? " " : "",
                                       column->subject ? column->subject : ""));
        const char *between = " <- ";
        for (uint32_t u = 0; u < column->use_count; u++) {
            const struct weir_graph_use *use = &column->uses[u];
            if (!weir_lineage_is_value(use->kind))
                continue;
            WEIR_TRY(weir_buffer_print(&drawing->out, reterr, "%s%s.%s", between, use->table->name,
                                       use->table->columns[use->column].name));
            for (unsigned m = 0; m < WEIR_LINEAGE_MASKS; m++)
                if (use->masks & 1U << m)
                    WEIR_TRY(weir_buffer_print(&drawing->out, reterr, " (%s)",
                                               weir_lineage_mask_name(m)));
            between = ", ";
        }
        WEIR_TRY(weir_buffer_print(&drawing->out, reterr, "\n"));
    }
    return WEIR_OK;
}

static weir_status draw_node(struct drawing *drawing, size_t number, int depth,
                             struct weir_error *reterr)
{
    struct graph_node *node = &drawing->nodes[number];
    const char *mode = mode_of(node);
    bool again = node->printed;
    WEIR_TRY(weir_buffer_print(&drawing->out, reterr, "%*s%s%s%s%s%s%s\n", 2 * depth, "",
                               node->kind == NODE_TABLE ? "" : kind_of(node),
                               node->kind == NODE_TABLE ? "" : " ", node->name, *mode ? "  " : "",
                               mode, again ? "  (above)" : ""));
    node->printed = true;
    if (again)
        return WEIR_OK;
    if (drawing->cli->columns)
        WEIR_TRY(draw_columns(drawing, node, depth, reterr));
    for (size_t i = 0; i < drawing->count; i++)
        if (drawing->nodes[i].chosen && reads_node(&drawing->nodes[i], number))
            WEIR_TRY(draw_node(drawing, i, depth + 1, reterr));
    return WEIR_OK;
}

static weir_status draw_text(struct drawing *drawing, struct weir_error *reterr)
{
    for (size_t i = 0; i < drawing->count; i++) {
        bool below = false;
        for (size_t k = 0; k < drawing->nodes[i].read_count; k++)
            below |= drawing->nodes[drawing->nodes[i].reads[k]].chosen;
        if (drawing->nodes[i].chosen && !below)
            WEIR_TRY(draw_node(drawing, i, 0, reterr));
    }
    return WEIR_OK;
}

/* ---- Mermaid, DOT ---- */

/* A label: name, mode, perhaps columns; `end` ends a line of it. Quotes cannot be in it. */
static weir_status draw_label(struct drawing *drawing, const struct graph_node *node,
                              const char *end, struct weir_error *reterr)
{
    const char *mode = mode_of(node);
    WEIR_TRY(weir_buffer_print(&drawing->out, reterr, "%s", node->name));
    if (*mode)
        WEIR_TRY(weir_buffer_print(&drawing->out, reterr, "%s(%s)", end, mode));
    for (uint32_t i = 0; drawing->cli->columns && node->table && i < node->table->column_count;
         i++) {
        const struct weir_graph_column *column = &node->table->columns[i];
        WEIR_TRY(weir_buffer_print(&drawing->out, reterr, "%s", end));
        for (const char *at = column->name; *at; at++)
            WEIR_TRY(weir_buffer_print(&drawing->out, reterr, "%c",
                                       strchr("\"\\<>[]{}|#&;", *at) ? '_' : *at));
        if (column->class_ != WEIR_CLASS_NONE)
            WEIR_TRY(
                weir_buffer_print(&drawing->out, reterr, " (%s)", weir_class_name(column->class_)));
    }
    return WEIR_OK;
}

static weir_status draw_edges(struct drawing *drawing, const char *form, struct weir_error *reterr)
{
    for (size_t i = 0; i < drawing->count; i++)
        for (size_t k = 0; drawing->nodes[i].chosen && k < drawing->nodes[i].read_count; k++)
            if (drawing->nodes[drawing->nodes[i].reads[k]].chosen)
                WEIR_TRY(weir_buffer_print(&drawing->out, reterr, "  n%zu %s n%zu\n",
                                           drawing->nodes[i].reads[k], form, i));
    return WEIR_OK;
}

/* The nodes of one layer (NULL: sources and sinks), each as open, label, close. */
static weir_status draw_layer(struct drawing *drawing, const char *layer, bool mermaid,
                              struct weir_error *reterr)
{
    for (size_t i = 0; i < drawing->count; i++) {
        const struct graph_node *node = &drawing->nodes[i];
        const char *of = node->table ? node->table->layer : NULL;
        bool here = layer ? of && strcmp(of, layer) == 0 : !of;
        if (!node->chosen || !here)
            continue;
        bool table = node->kind == NODE_TABLE;
        WEIR_TRY(weir_buffer_print(
            &drawing->out, reterr, mermaid ? "  n%zu%s\"" : "  n%zu [%slabel=\"", i,
            mermaid ? (table ? "[" : "([") : (table ? "shape=box, " : "shape=ellipse, ")));
        WEIR_TRY(draw_label(drawing, node, mermaid ? "<br/>" : "\\n", reterr));
        WEIR_TRY(weir_buffer_print(&drawing->out, reterr, "\"%s\n",
                                   mermaid ? (table ? "]" : "])") : "]"));
    }
    return WEIR_OK;
}

static weir_status draw_diagram(struct drawing *drawing, bool mermaid, struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_print(&drawing->out, reterr, "%s",
                               mermaid ? "flowchart LR\n" : "digraph weir {\n  rankdir=LR\n"));
    WEIR_TRY(draw_layer(drawing, NULL, mermaid, reterr));
    for (size_t i = 0; i < drawing->count; i++) {
        const struct weir_graph_table *table = drawing->nodes[i].table;
        bool first = table && drawing->nodes[i].chosen;
        for (size_t k = 0; first && k < i; k++)
            first &= !drawing->nodes[k].table || !drawing->nodes[k].chosen ||
                     strcmp(drawing->nodes[k].table->layer, table->layer) != 0;
        if (!first)
            continue;
        WEIR_TRY(mermaid ? weir_buffer_print(&drawing->out, reterr, "  subgraph %s\n", table->layer)
                         : weir_buffer_print(&drawing->out, reterr,
                                             "  subgraph \"cluster_%s\" {\n  label=\"%s\"\n",
                                             table->layer, table->layer));
        WEIR_TRY(draw_layer(drawing, table->layer, mermaid, reterr));
        WEIR_TRY(weir_buffer_print(&drawing->out, reterr, mermaid ? "  end\n" : "  }\n"));
    }
    WEIR_TRY(draw_edges(drawing, mermaid ? "-->" : "->", reterr));
    return mermaid ? WEIR_OK : weir_buffer_print(&drawing->out, reterr, "}\n");
}

/* ---- JSON ---- */

static json_t *uses_json(const struct weir_graph_use *uses, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_t *masks = json_array();
        for (unsigned m = 0; m < WEIR_LINEAGE_MASKS; m++)
            if (uses[i].masks & 1U << m)
                json_array_append_new(masks, json_string(weir_lineage_mask_name(m)));
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:b, s:o}", "table", uses[i].table->name,
                                        "column", uses[i].table->columns[uses[i].column].name,
                                        "kind", weir_lineage_kind_name(uses[i].kind), "value",
                                        weir_lineage_is_value(uses[i].kind), "masks", masks));
    }
    return list;
}

static weir_status columns_json(struct drawing *drawing, const struct weir_graph_table *table,
                                json_t *node, struct weir_error *reterr)
{
    json_t *columns = json_array();
    json_object_set_new(node, "columns", columns);
    json_object_set_new(node, "rows", uses_json(table->rows, table->row_count));
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct weir_graph_column *column = &table->columns[i];
        WEIR_AUTO(weir_buffer) type = {.account = &drawing->cli->context->memory};
        WEIR_TRY(weir_type_print(&column->type, &type, reterr));
        json_array_append_new(
            columns, json_pack("{s:s, s:s%, s:s, s:s?, s:s?, s:o}", "name", column->name, "type",
                               (const char *)type.data, type.size, "class",
                               weir_class_name(column->class_), "subject", column->subject, "doc",
                               column->doc, "from", uses_json(column->uses, column->use_count)));
    }
    return WEIR_OK;
}

static weir_status draw_json(struct drawing *drawing, struct weir_error *reterr)
{
    weir_status status = WEIR_OK;
    json_t *nodes = json_array(), *edges = json_array();
    for (size_t i = 0; i < drawing->count && status == WEIR_OK; i++) {
        const struct graph_node *node = &drawing->nodes[i];
        if (!node->chosen)
            continue;
        json_t *told = json_pack("{s:s, s:s, s:s}", "name", node->name, "kind", kind_of(node),
                                 "mode", mode_of(node));
        json_array_append_new(nodes, told);
        if (node->table)
            json_object_set_new(told, "layer", json_string(node->table->layer));
        if (node->table && drawing->cli->columns)
            status = columns_json(drawing, node->table, told, reterr);
        for (size_t k = 0; k < node->read_count; k++)
            if (drawing->nodes[node->reads[k]].chosen)
                json_array_append_new(edges,
                                      json_pack("{s:s, s:s, s:s, s:s}", "from",
                                                drawing->nodes[node->reads[k]].name, "from_kind",
                                                kind_of(&drawing->nodes[node->reads[k]]), "to",
                                                node->name, "to_kind", kind_of(node)));
    }
    json_t *whole = json_pack("{s:o, s:o}", "nodes", nodes, "edges", edges);
    char *text = status == WEIR_OK ? json_dumps(whole, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
    if (text)
        status = weir_buffer_print(&drawing->out, reterr, "%s\n", text);
    free(text);
    json_decref(whole);
    return status;
}

/* What each chosen table's or sink's job reads and writes, one event a line. */
static weir_status draw_events(struct drawing *drawing, const struct weir_graph *graph,
                               struct weir_error *reterr)
{
    struct weir_openlineage_job job = {
        .context = drawing->cli->context, .pipeline = drawing->pipeline, .graph = graph};
    for (size_t i = 0; i < drawing->count; i++) {
        json_t *event;
        job.table = drawing->nodes[i].table;
        job.sink = drawing->nodes[i].sink;
        if (job.sink)
            job.table = weir_graph_find(graph, job.sink->from->name);
        if (!drawing->nodes[i].chosen || !job.table ||
            (job.table->model && job.table->model->mode == WEIR_MODEL_VIEW)) /* nothing is kept */
            continue;
        WEIR_TRY(weir_openlineage_job_event(&job, &event, reterr));
        char *text = json_dumps(event, JSON_COMPACT | JSON_PRESERVE_ORDER);
        json_decref(event);
        weir_status status = text ? weir_buffer_print(&drawing->out, reterr, "%s\n", text)
                                  : WEIR_OK;
        free(text);
        WEIR_TRY(status);
    }
    return WEIR_OK;
}

static weir_status draw(struct drawing *drawing, const struct weir_graph *graph,
                        struct weir_error *reterr)
{
    WEIR_TRY(add_nodes(drawing, graph, reterr));
    WEIR_TRY(choose_all(drawing, reterr));
    switch (drawing->cli->output) {
    case OUTPUT_MERMAID: return draw_diagram(drawing, true, reterr);
    case OUTPUT_DOT: return draw_diagram(drawing, false, reterr);
    case OUTPUT_JSON: return draw_json(drawing, reterr);
    case OUTPUT_OPENLINEAGE: return draw_events(drawing, graph, reterr);
    default: return draw_text(drawing, reterr);
    }
}

weir_status verb_graph(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    struct weir_graph *graph = NULL;
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    struct drawing drawing = {
        .cli = cli, .pipeline = pipeline, .out = {.account = &cli->context->memory}};
    weir_arena_init(&drawing.arena, &cli->context->memory);
    weir_status status = weir_graph_new(cli->context, pipeline, NULL, &graph, reterr);
    if (status == WEIR_OK)
        status = draw(&drawing, graph, reterr);
    if (status == WEIR_OK)
        fwrite(drawing.out.data, 1, drawing.out.size, stdout);
    weir_buffer_done(&drawing.out);
    weir_arena_done(&drawing.arena);
    weir_graph_free(graph);
    weir_pipeline_free(pipeline);
    return status;
}
