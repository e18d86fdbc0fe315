/* weir: one process, one verb. Parses, runs the verb, prints the error once, and leaves with its
 * exit code. */
#include "tools/weir/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A signal handler has no argument: the one place where the process knows its context. */
static struct weir_context *signal_context;

static void on_signal(int number)
{
    if (atomic_exchange(&signal_context->stop, number) != 0)
        _exit(128 + number); /* asked twice: leave; what is committed stays, the rest is litter */
}

static void handle_signals(struct weir_context *context)
{
    signal_context = context;
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ,
           SIG_IGN); /* a file size limit is an error of the write, not the end of the process */
}

static void print_error(const struct weir_error *error, weir_status status)
{
    fprintf(stderr, "weir: %s\n", *error->text ? error->text : weir_status_text(status));
    if (*error->hint)
        fprintf(stderr, "      %s\n", error->hint);
}

int main(int argc, char **argv)
{
    struct weir_context context;
    struct weir_error error = {0};
    struct cli cli = {.context = &context};
    weir_context_init(&context);
    handle_signals(&context);
    weir_status status = cli_parse(&cli, argc, argv, &error);
    if (status == WEIR_OK)
        status = cli_run(&cli, &error);
    if (status != WEIR_OK)
        print_error(&error, status);
    fflush(stdout);
    weir_context_done(&context);
    return weir_status_exit_code(status);
}
