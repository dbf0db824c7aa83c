"""Bodies of requests and answers that exist on HTTP only; everything else is a model of ``actors.domain`` as it is."""
