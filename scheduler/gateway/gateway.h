/* `weir gateway`: records by HTTP, checked as ingest would, answered for when they are on disk, and
 * sent to Kafka in the order in which they came, each once.
 *
 * The way of a record: request -> body.c (decompressed, split) -> check.c (decoded by the source's
 * tables, thrown away) -> the spool, one sync for all requests that wait -> 202 -> send.c: Kafka
 * transactions that hold the spool's position. docs/gateway.md says what is promised. */
#ifndef WEIR_SCHEDULER_GATEWAY_GATEWAY_H
#define WEIR_SCHEDULER_GATEWAY_GATEWAY_H

#include "scheduler/pipeline/pipeline.h"

struct weir_gateway_options {
    const struct weir_pipeline *pipeline;
    /* Called once, when it listens; the address is "http://host:port". May be NULL. */
    void (*listening)(void *argument, const char *address);
    void *argument;
};

/* Serves until the context is asked to stop or its deadline passes. OK after SIGTERM or the
 * deadline, what waits being safe on disk; INTERRUPTED after SIGINT. USAGE: the configuration;
 * UNAVAILABLE: the port or the spool is taken. */
weir_status weir_gateway_run(struct weir_context *context,
                             const struct weir_gateway_options *options,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
