/* A stand-in for libedgetpu: it takes the node `edgetpu-custom-op` and answers with one class, or fails as the
 * real one does, when cue.h says so. */

#define _GNU_SOURCE
#include "cue.h"
#include "tflite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER 283 /* the class that it always sees; `tiger cat` in ImageNet's labels with background */

/* The real library has threads of its own for the bus, which abort when the device goes away. */
static void *bus(void *unused)
{
    while (pass("bus"))
        usleep(50000);
    return unused;
}

static TfLiteStatus prepare_node(TfLiteContext *context, TfLiteNode *node)
{
    (void)node;
    if (!pass("version")) { /* a model of a newer compiler */
        context->ReportError(context, "Failed to prepare for TPU. Package requires runtime version (15), "
                                      "which is newer than this runtime version (14).");
        return kTfLiteError;
    }
    return pass("allocate") ? kTfLiteOk : kTfLiteError;
}

static TfLiteStatus invoke_node(TfLiteContext *context, TfLiteNode *node)
{
    if (!pass("invoke"))
        return kTfLiteError;
    TfLiteTensor *answer = &context->tensors[node->outputs->data[0]];
    memset(answer->data, 0, answer->bytes);
    ((uint8_t *)answer->data)[ANSWER] = 230;
    return kTfLiteOk;
}

static TfLiteStatus prepare(TfLiteContext *context, TfLiteDelegate *delegate)
{
    if (!pass("prepare"))
        return kTfLiteError;
    TfLiteIntArray *plan;
    if (context->GetExecutionPlan(context, &plan) != kTfLiteOk)
        return kTfLiteError;
    TfLiteIntArray *mine = calloc(1, sizeof *mine + sizeof(int) * (size_t)plan->size);
    for (int i = 0; i < plan->size; i++) {
        TfLiteNode *node;
        TfLiteRegistration *registration;
        if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration) != kTfLiteOk)
            continue;
        if (registration->custom_name != NULL && strcmp(registration->custom_name, "edgetpu-custom-op") == 0)
            mine->data[mine->size++] = plan->data[i];
    }
    TfLiteRegistration kernel = {
        .prepare = prepare_node, .invoke = invoke_node, .custom_name = "EdgeTpuDelegateForCustomOp", .version = 1};
    TfLiteStatus status = context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, mine, delegate);
    free(mine);
    return status;
}

TfLiteDelegate *tflite_plugin_create_delegate(char **keys, char **values, size_t options,
                                              void (*report)(const char *))
{
    (void)keys;
    (void)values;
    (void)options;
    if (!pass("open")) {
        report("Failed to load delegate");
        return NULL;
    }
    TfLiteDelegate *delegate = calloc(1, sizeof *delegate);
    delegate->Prepare = prepare;
    delegate->flags = 1; /* dynamic tensors allowed: otherwise nodes are prepared before they are taken */
    pthread_t thread;
    pthread_create(&thread, NULL, bus, NULL);
    return delegate;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate *delegate)
{
    free(delegate);
}
