"""The Prometheus metrics: of jobs, of HTTP, of each namespace, and the page that shows them."""
