/* register: a second catalog is told where a table's current state is. */
#include "tools/weir/cli.h"

#include <string.h>

/* The pipeline with the file of --catalog laid over it: the same lake, another catalog. */
static weir_status second_pipeline(struct cli *cli, const struct weir_pipeline *first,
                                   struct weir_pipeline **ret_pipeline, struct weir_error *reterr)
{
    struct cli over = *cli;
    if (!over.file_count)
        over.files[over.file_count++] = "weir.yaml";
    if (over.file_count == CLI_FILES_MAX)
        return weir_fail(reterr, WEIR_USAGE, "more than %d pipeline files", CLI_FILES_MAX);
    over.files[over.file_count++] = cli->catalog_file;
    WEIR_TRY(cli_pipeline(&over, ret_pipeline, reterr));
    weir_status status = WEIR_OK;
    if ((*ret_pipeline)->catalog != WEIR_CATALOG_REST)
        status = weir_fail(reterr, WEIR_USAGE, "%s names no REST catalog", cli->catalog_file);
    else if (strcmp(first->warehouse, (*ret_pipeline)->warehouse) != 0)
        status = weir_fail(reterr, WEIR_USAGE, "%s names another warehouse, %s", cli->catalog_file,
                           (*ret_pipeline)->warehouse);
    if (status != WEIR_OK) {
        weir_error_hint(reterr, "as in: lake: {catalog: {rest: {uri: https://host/path}}}");
        weir_pipeline_free(*ret_pipeline);
    }
    return status;
}

static weir_status register_one(struct weir_lake *first, struct weir_lake *second, const char *name,
                                struct weir_error *reterr)
{
    static const char *const words[] = {"registered", "registered anew", "registered already"};
    struct weir_table *table;
    enum weir_registration registration;
    WEIR_TRY(first->catalog.operations->load(first->catalog.self, name, &table, reterr));
    weir_status status = weir_register(table, &second->catalog, &registration, reterr);
    if (status == WEIR_OK)
        printf("%s: %s, at %s\n", name, words[registration], table->metadata_location);
    weir_table_free(table);
    return status;
}

weir_status verb_register(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline, *other;
    const struct weir_table_config *table;
    struct weir_lake first = {0}, second = {0};
    if (!cli->catalog_file)
        return weir_fail(reterr, WEIR_USAGE, "--catalog FILE says which catalog is told");
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    weir_status status = cli_table(cli, pipeline, &table, reterr);
    if (status == WEIR_OK)
        status = second_pipeline(cli, pipeline, &other, reterr);
    if (status != WEIR_OK) {
        weir_pipeline_free(pipeline);
        return status;
    }
    WEIR_TRY_OUT(status, weir_lake_open(cli->context, pipeline, false, &first, reterr));
    WEIR_TRY_OUT(status, weir_lake_open(cli->context, other, false, &second, reterr));
    WEIR_TRY_OUT(status,
                 weir_lake_check_place(other, &second.store, &second.catalog, NULL, 0, reterr));
    status = register_one(&first, &second, table->name, reterr);
out:
    weir_lake_close(&second);
    weir_lake_close(&first);
    weir_pipeline_free(other);
    weir_pipeline_free(pipeline);
    return status;
}
