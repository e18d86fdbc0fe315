/* weir gateway: REST in, Kafka out. */
#include "tools/weir/cli.h"

#include "scheduler/gateway/gateway.h"

#include <stdio.h>

static void listening(void *argument, const char *address)
{
    struct cli *cli = argument;
    if (cli->output == OUTPUT_JSON)
        printf("{\"address\": \"%s\"}\n", address);
    else
        printf("listening on %s\n", address);
    fflush(stdout);
}

weir_status verb_gateway(struct cli *cli, struct weir_error *reterr)
{
    struct weir_pipeline *pipeline;
    WEIR_TRY(cli_pipeline(cli, &pipeline, reterr));
    if (cli->for_ms)
        cli->context->deadline_steady_ms = weir_steady_ms(cli->context) + cli->for_ms;
    struct weir_gateway_options options = {
        .pipeline = pipeline, .listening = listening, .argument = cli};
    weir_status status = weir_gateway_run(cli->context, &options, reterr);
    weir_pipeline_free(pipeline);
    return status;
}
