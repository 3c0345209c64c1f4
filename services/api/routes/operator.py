"""The calls of the platform's operator, under `/api/operator`."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/operator", tags=["operator"])
