"""The types of middleware, for applications to import."""

from ironforge.handlers.middleware import (
    CallNext,
    CallNextSubmission,
    Middleware,
    SubmissionCall,
    SubmissionMiddleware,
)

__all__ = ["CallNext", "CallNextSubmission", "Middleware", "SubmissionCall", "SubmissionMiddleware"]
