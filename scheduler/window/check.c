/* What `weir validate` can know without any service, beyond the file's own form: expressions bind,
 * partitions and decoders can be made, Kafka's properties are known and not ours. */
#include "scheduler/window/window.h"

#include "connectors/kafka/kafka.h"
#include "scheduler/window/ingest.h"
#include "scheduler/window/shape.h"

#include <string.h>

/* A lake that nothing is ever written to: enough to make an ingest. */
static weir_status check_table(struct weir_lake *lake, struct weir_arena *arena,
                               const struct weir_table_config *config,
                               const struct weir_tenancy *tenancy, struct weir_error *reterr)
{
    struct weir_shape shape;
    struct weir_ingest *ingest;
    WEIR_TRY(weir_shape_make(arena, config, NULL, &shape, reterr));
    struct weir_ingest_options options = {.lake = lake,
                                          .table = config,
                                          .shape = &shape,
                                          .table_location = "/",
                                          .table_uuid = "",
                                          .attempt = 1,
                                          .tenancy = tenancy};
    WEIR_TRY(weir_ingest_new(&options, &ingest, reterr));
    weir_ingest_free(ingest);
    return WEIR_OK;
}

static weir_status check_source(const struct weir_source_config *config, struct weir_error *reterr)
{
    if (!config->is_kafka)
        return WEIR_OK;
    struct weir_kafka_property properties[256];
    size_t count = 0;
    for (; count < config->property_count && count < 250; count++)
        properties[count] = (struct weir_kafka_property){config->properties[count].key,
                                                         config->properties[count].value};
    struct weir_kafka_options options = {.topics = config->topics,
                                         .topic_count = config->topic_count,
                                         .properties = properties,
                                         .property_count = count,
                                         .group = config->group};
    weir_status status = weir_kafka_check(&options, reterr);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "source %s", config->name);
    return status;
}

size_t weir_pipeline_check(struct weir_context *context, const struct weir_pipeline *pipeline,
                           void (*report)(void *argument, const struct weir_error *error),
                           void *argument)
{
    struct weir_lake lake = {.context = context, .run_id = "", .config_digest = ""};
    lake.store.root_uri = "";
    struct weir_arena arena;
    size_t problems = 0;
    weir_arena_init(&arena, &context->memory);
    for (size_t i = 0; i < pipeline->source_count; i++) {
        struct weir_error error = {0};
        if (check_source(&pipeline->sources[i], &error) != WEIR_OK) {
            report(argument, &error);
            problems++;
        }
    }
    for (size_t i = 0; i < pipeline->table_count; i++) {
        struct weir_error error = {0};
        if (check_table(&lake, &arena, &pipeline->tables[i], pipeline->tenancy, &error) !=
            WEIR_OK) {
            report(argument, &error);
            problems++;
        }
    }
    weir_arena_done(&arena);
    return problems;
}
