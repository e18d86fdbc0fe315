/* weir run where the records of one source have several owners: the same table of all lakes is
 * ingested together, so that the source is read once; then each lake's models and sinks by
 * themselves. A lake that fails is left where it is, and the others go on. */
#include "tools/weir/run.h"

#include <stdio.h>
#include <string.h>

struct tenant {
    struct weir_pipeline *pipeline;
    struct weir_lake lake;
    bool is_open;
    json_t *record;
    struct weir_openlineage *lineage;
    weir_status status; /* the worst of what it met */
    struct weir_error error;
};

struct tenants {
    struct cli *cli;
    struct tenant *items;
    size_t count;
};

static void note(struct tenant *tenant, weir_status status, const struct weir_error *error)
{
    if (!cli_worse(status, tenant->status))
        return;
    tenant->status = status;
    tenant->error = *error;
}

static void open_tenant(struct cli *cli, struct tenant *tenant)
{
    struct weir_error error = {0};
    weir_status status = weir_lake_open(cli->context, tenant->pipeline, /* for_writing= */ true,
                                        &tenant->lake, &error);
    tenant->is_open = status == WEIR_OK;
    if (tenant->is_open) {
        tenant->record = run_record_new(cli, &tenant->lake);
        status = weir_openlineage_new(cli->context, tenant->pipeline, &tenant->lineage, &error);
    }
    note(tenant, status, &error);
}

/* ---- one table of all lakes ---- */

struct table_run {
    struct weir_window_lane *lanes;
    struct weir_lease **leases;
    size_t *tenants; /* index of each lane's */
    size_t count;
    int64_t started_ms;
};

/* A lease that we hold ourselves in the lake of another tenant: both are one place. */
static weir_status check_holder(const struct tenants *all, size_t index, const char *holder,
                                struct weir_error *reterr)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct tenant *other = &all->items[i];
        if (i == index || !other->is_open || !strstr(holder, other->lake.run_id))
            continue;
        weir_status status = weir_fail(reterr, WEIR_REFUSED, "its lake %s is that of tenant %s, %s",
                                       all->items[index].pipeline->warehouse,
                                       other->pipeline->tenant, other->pipeline->warehouse);
        weir_error_hint(reterr, "two lakes are one place: give each a warehouse of its own");
        return status;
    }
    return WEIR_OK;
}

static void add_lane(struct tenants *all, size_t index, const struct weir_table_config *table,
                     struct table_run *run)
{
    char name[400], holder[256];
    struct tenant *tenant = &all->items[index];
    struct weir_lease *lease = NULL;
    struct weir_error error = {0};
    run_lease_name(all->cli, table->name, name, sizeof name);
    weir_status status = weir_lease_take(&tenant->lake, name, &lease, holder, &error);
    if (status == WEIR_OK && !lease)
        status = check_holder(all, index, holder, &error);
    if (status != WEIR_OK || !lease) {
        json_t *outcome = status == WEIR_OK
                              ? json_pack("{s:s, s:s}", "table", table->name, "held_by", holder)
                              : NULL;
        run_note(tenant->record, table->name, status, &error, outcome, &tenant->status,
                 &tenant->error);
        return;
    }
    run->leases[run->count] = lease;
    run->tenants[run->count] = index;
    run->lanes[run->count++] = (struct weir_window_lane){
        .options = {.lake = &tenant->lake,
                    .pipeline = tenant->pipeline,
                    .table = table,
                    .shard_index = all->cli->shard_index,
                    .shard_count = all->cli->shard_count}};
}

static void end_lane(struct tenants *all, struct table_run *run, size_t index)
{
    struct weir_window_lane *lane = &run->lanes[index];
    struct tenant *tenant = &all->items[run->tenants[index]];
    const char *name = lane->options.table->name;
    weir_lease_give_back(run->leases[index]);
    if (run_is_deadline(lane->status, lane->outcome)) {
        json_object_set_new(lane->outcome, "deadline", json_true());
        json_object_del(lane->outcome, "error");
        lane->status = WEIR_OK;
    }
    weir_openlineage_tell(tenant->lineage, name, lane->outcome, run->started_ms, lane->status,
                          &lane->error);
    run_note(tenant->record, name, lane->status, &lane->error, lane->outcome, &tenant->status,
             &tenant->error);
}

static weir_status run_tables(struct tenants *all, struct weir_error *reterr)
{
    const struct weir_pipeline *pipeline = all->items[0].pipeline;
    struct weir_account *account = &all->cli->context->memory;
    WEIR_AUTO(weir_arena) arena;
    struct table_run run;
    weir_arena_init(&arena, account);
    WEIR_TRY(weir_arena_zero(&arena, all->count, sizeof *run.lanes, &run.lanes, reterr));
    WEIR_TRY(weir_arena_zero(&arena, all->count, sizeof(*run.leases), &run.leases, reterr));
    WEIR_TRY(weir_arena_zero(&arena, all->count, sizeof *run.tenants, &run.tenants, reterr));
    for (size_t t = 0; t < pipeline->table_count && !atomic_load(&all->cli->context->stop); t++) {
        if (!cli_selected(all->cli, pipeline->tables[t].name))
            continue;
        run.count = 0;
        run.started_ms = weir_now_ms(all->cli->context);
        for (size_t i = 0; i < all->count; i++)
            if (all->items[i].is_open)
                add_lane(all, i, &pipeline->tables[t], &run);
        weir_windows_run_lanes(run.lanes, run.count);
        for (size_t i = 0; i < run.count; i++)
            end_lane(all, &run, i);
    }
    return WEIR_OK;
}

/* ---- the whole ---- */

static void end_tenant(struct cli *cli, struct tenant *tenant)
{
    struct weir_error error = tenant->error;
    weir_status status = tenant->status;
    cli->lineage = tenant->lineage;
    cli->graph = NULL;
    if (!atomic_load(&cli->context->stop))
        status = run_after(cli, &tenant->lake, tenant->pipeline, tenant->record, status, &error);
    json_object_set_new(tenant->record, "tenant", json_string(tenant->pipeline->tenant));
    status = run_record_end(cli, &tenant->lake, tenant->pipeline, tenant->record, status, &error);
    tenant->status = status;
    tenant->error = error;
    weir_lake_close(&tenant->lake);
}

static json_t *failed_record(const struct tenant *tenant)
{
    return json_pack("{s:s, s:[], s:[], s:[], s:s, s:s, s:i}", "tenant", tenant->pipeline->tenant,
                     "tables", "sinks", "upkeep", "error", tenant->error.text, "status",
                     weir_status_name(tenant->status), "exit_code",
                     weir_status_exit_code(tenant->status));
}

/* The worst of them; the others' failures are said here. */
static weir_status print_all(struct tenants *all, struct weir_error *reterr)
{
    struct cli *cli = all->cli;
    weir_status worst = WEIR_OK;
    size_t worst_at = 0;
    json_t *records = json_array();
    for (size_t i = 0; i < all->count; i++) {
        struct tenant *tenant = &all->items[i];
        if (!tenant->record)
            tenant->record = failed_record(tenant);
        json_array_append(records, tenant->record);
        if (tenant->status != WEIR_OK)
            weir_error_prefix(&tenant->error, "tenant %s", tenant->pipeline->tenant);
        if (cli_worse(tenant->status, worst)) {
            worst = tenant->status;
            worst_at = i;
        }
    }
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].status != WEIR_OK && i != worst_at)
            fprintf(stderr, "weir: %s\n", all->items[i].error.text);
    json_t *record = json_pack("{s:o, s:s, s:i}", "lakes", records, "status",
                               weir_status_name(worst), "exit_code", weir_status_exit_code(worst));
    run_print(cli, record);
    json_decref(record);
    if (worst != WEIR_OK)
        *reterr = all->items[worst_at].error;
    return worst;
}

static weir_status run_chosen(struct tenants *all, struct weir_error *reterr)
{
    struct weir_error error = {0};
    for (size_t i = 0; i < all->count; i++)
        open_tenant(all->cli, &all->items[i]);
    weir_status status = run_tables(all, &error);
    for (size_t i = 0; i < all->count; i++) {
        if (!all->items[i].is_open)
            continue;
        note(&all->items[i], status, &error);
        end_tenant(all->cli, &all->items[i]);
    }
    status = print_all(all, reterr);
    for (size_t i = 0; i < all->count; i++)
        json_decref(all->items[i].record);
    return status;
}

static weir_status plan_chosen(struct tenants *all, struct weir_error *reterr)
{
    struct cli *cli = all->cli;
    weir_status worst = WEIR_OK;
    cli->gathered = json_array();
    for (size_t i = 0; i < all->count; i++) {
        struct tenant *tenant = &all->items[i];
        struct weir_error error = {0};
        cli->lake_now = tenant->pipeline;
        weir_status status = weir_lake_open(cli->context, tenant->pipeline, false, &tenant->lake,
                                            &error);
        if (status == WEIR_OK) {
            status = run_plan(cli, &tenant->lake, tenant->pipeline, &error);
            weir_lake_close(&tenant->lake);
        }
        if (!cli_worse(status, worst))
            continue;
        weir_error_prefix(&error, "tenant %s", tenant->pipeline->tenant);
        worst = status;
        *reterr = error;
    }
    json_t *rows = cli->gathered;
    cli->gathered = NULL;
    if (json_array_size(rows) &&
        cli_rows(cli, rows, cli->gathered_columns[0] ? cli->gathered_columns : NULL, NULL) !=
            WEIR_OK &&
        worst == WEIR_OK)
        worst = weir_fail(reterr, WEIR_IO, "writing to standard output failed");
    json_decref(rows);
    return worst;
}

weir_status cli_run_tenants(struct cli *cli, struct weir_pipeline *pipeline,
                            struct weir_error *reterr)
{
    struct tenants all = {.cli = cli};
    WEIR_TRY(weir_alloc_zero(&cli->context->memory, pipeline->lake_count, sizeof *all.items,
                             &all.items, reterr));
    for (size_t i = 0; i < pipeline->lake_count; i++)
        if (cli_tenant_chosen(cli, pipeline->lakes[i].tenant))
            all.items[all.count++].pipeline = &pipeline->lakes[i];
    weir_status status = cli->dry_run ? plan_chosen(&all, reterr) : run_chosen(&all, reterr);
    weir_free(all.items);
    return status;
}
