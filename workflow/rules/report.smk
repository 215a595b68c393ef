# report: pages that work offline. index.html is the page for `all`; upper_bound.html is the same page with the fully
# supervised bound, so that requesting the bound never makes `all` train it.


rule make_page:
    input:
        **plan.dataset.inputs,
        **plan.image_scores,
        **plan.mended.list_of("train"),
        scores=lambda wildcards: plan.scores(bound=wildcards.page == "upper_bound"),
        index="<results>/data/val.csv",
        classes=rules.list_classes.output.classes,
        curves=["<results>/localize/training.csv", plan.segmenters.own.curves],
        panels=plan.panels,
        confusions=plan.confusions,
        localization=plan.localization_scores,
        left_out=expand("<results>/data/left_out/{split}.csv", split=plan.splits),
    output:
        page=shown("<results>/report/{page}.html", "page", "Page", page="{page}"),
        picture="<results>/report/{page}.jpg",
    log:
        "<logs>/report/{page}.log",
    benchmark:
        "<benchmarks>/report/{page}.tsv"
    wildcard_constraints:
        page="index|upper_bound",
    conda:
        "../../environment.yml"
    resources:
        **needs(2000, minutes=30),
    params:
        experiment=experiment.experiment,
        settings=settings("report"),
        # The page shows all settings, so it is made again when any of them changes.
        config=whole_config,
        tables=plan.made_tables(),
        images=given("images", "mended"),
        negatives=negatives(experiment.localize.splits),
        code=code_of("stages.report.make_page"),
        results=results_folder,
        root=dataset_root,
        shards=experiment.data.shards,
        segmenter=plan.segmenters.own.folder,
    shell:
        "python -m stages.report.make_page --settings {params.settings:q} --experiment {params.experiment}"
        " --config {params.config:q} --results {params.results} --root {params.root:q} --shards {params.shards}"
        " --scores {input.scores} {params.images} {params.negatives}"
        " --segmenter {params.segmenter}"
        " --confusions {input.confusions} --localization {input.localization} --left-out {input.left_out}"
        " --picture {output.picture} --output {output.page} &> {log}"


# All images of a split, to filter and sort; index.html links to them. `gallery` is val's, `gallery-SPLIT` shows doubts.
rule make_gallery:
    input:
        unpack(lambda wildcards: plan.galleries.inputs(wildcards.gallery)),
        **plan.dataset.inputs,
        classes=rules.list_classes.output.classes,
    output:
        page=shown("<results>/report/{gallery}.html", "page", "Page", page="{gallery}"),
        pictures=directory("<results>/report/{gallery}"),
    log:
        "<logs>/report/{gallery}.log",
    benchmark:
        "<benchmarks>/report/{gallery}.tsv"
    wildcard_constraints:
        gallery=f"gallery(-({any_of(SPLITS)}))?",
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(2000, minutes=60),
    params:
        experiment=experiment.experiment,
        results=results_folder,
        root=dataset_root,
        shards=experiment.data.shards,
        split=lambda wildcards: plan.galleries.of(wildcards.gallery).split,
        view=lambda wildcards: plan.galleries.of(wildcards.gallery).view,
        links=lambda wildcards: plan.galleries.links(wildcards.gallery),
        segmenter=plan.segmenters.own.folder,
        options=given("images", "doubt"),
        code=code_of("stages.report.make_gallery"),
    shell:
        "python -m stages.report.make_gallery --experiment {params.experiment} --split {params.split}"
        " --view {params.view} --segmenter {params.segmenter} --results {params.results} --root {params.root:q} --shards {params.shards}"
        " --links {params.links:q} {params.options} --processes {threads} --pictures {output.pictures}"
        " --output {output.page} &> {log}"


rule make_table_page:
    input:
        **plan.dataset.inputs,
        scores=lambda wildcards: plan.tables[wildcards.table].scores,
        speeds=lambda wildcards: plan.speeds(wildcards.table),
        pictures=lambda wildcards: plan.tables[wildcards.table].pictures,
        index=plan.files.index(experiment.compare.split),
        classes=rules.list_classes.output.classes,
    output:
        page=shown("<results>/report/{table}.html", "table", "Page", page="{table}"),
    log:
        "<logs>/report/{table}.log",
    benchmark:
        "<benchmarks>/report/{table}.tsv"
    wildcard_constraints:
        table=any_of(plan.tables),
    conda:
        "../../environment.yml"
    resources:
        **needs(2000, minutes=30),
    params:
        experiment=experiment.experiment,
        settings=settings("report"),
        rows=lambda wildcards: plan.tables[wildcards.table].specification,
        title=lambda wildcards: plan.tables[wildcards.table].title,
        speeds=lambda wildcards, input: f"--speeds {input.speeds}" if input.speeds else "",
        root=dataset_root,
        code=code_of("stages.report.make_table_page"),
    shell:
        "python -m stages.report.make_table_page --settings {params.settings:q} --experiment {params.experiment}"
        " --title {params.title:q} --rows {params.rows:q} {params.speeds} --index {input.index} --root {params.root:q}"
        " --classes {input.classes} --output {output.page} &> {log}"


# Everything needed to reproduce the results. Written last, when the scores exist.
rule write_provenance:
    input:
        **plan.dataset.inputs,
        **plan.mended.list_of("train"),
        indexes=plan.indexes,
        scores=plan.scores(bound=False) + plan.localization_scores,
        inputs=plan.frozen_weights,
        localizer=plan.localizers.own.path,
        text=rules.embed_text.output.text,
        segmenter=plan.segmenters.own.path,
    output:
        provenance="<results>/provenance.json",
    log:
        "<logs>/provenance.log",
    benchmark:
        "<benchmarks>/report/provenance.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(2000, minutes=120),
    params:
        config=whole_config,
        results=results_folder,
        root=dataset_root,
        mended=given("mended"),
        code=code_of("stages.report.write_provenance"),
    shell:
        "python -m stages.report.write_provenance --config {params.config:q} {params.mended}"
        " --results {params.results} --root {params.root:q} --indexes {input.indexes} --inputs {input.inputs}"
        " --outputs {input.text} {input.localizer} {input.segmenter} {input.scores} --output {output.provenance} &> {log}"


# A card next to each trained model. After the provenance, which provides most of it.
rule write_cards:
    input:
        provenance=rules.write_provenance.output.provenance,
        scores=plan.scores(bound=False),
        localization=plan.localization_scores,
    output:
        localizer="<results>/localize/README.md",
        segmenter="<results>/segment/README.md",
    log:
        localizer="<logs>/report/localizer_card.log",
        segmenter="<logs>/report/segmenter_card.log",
    benchmark:
        "<benchmarks>/report/cards.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(2000, minutes=10),
    params:
        results=results_folder,
        code=code_of("stages.report.write_cards"),
    shell:
        "python -m stages.report.write_cards --model localizer --provenance {input.provenance}"
        " --results {params.results} --scores {input.scores} --localization {input.localization}"
        " --output {output.localizer} &> {log.localizer}"
        " && python -m stages.report.write_cards --model segmenter --provenance {input.provenance}"
        " --results {params.results} --scores {input.scores} --output {output.segmenter} &> {log.segmenter}"
